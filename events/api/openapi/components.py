"""What the document holds once and refers to: shapes, parameters, headers and refusals by name."""

from typing import Any, cast

from drf_spectacular.plumbing import ComponentIdentity, ComponentRegistry, ResolvedComponent

from events.api.openapi.headers import ANSWER, REQUEST
from events.api.openapi.operation import Parameter
from events.api.openapi.shape import Schema, Shape


class SameName(TypeError):
    """Two different components would have one name: a fault of the release."""


class Components:
    def __init__(self, registry: ComponentRegistry) -> None:
        self._registry = registry

    def schema(self, shape: Any) -> Any:
        """The schema with a reference for every shape in it that has a name."""
        if isinstance(shape, Shape):
            if shape.name is None:
                return self.schema(shape.schema)
            return self._once(shape.name, ResolvedComponent.SCHEMA, shape, shape.schema)
        if isinstance(shape, dict):
            return {key: self.schema(each) for key, each in shape.items()}
        if isinstance(shape, list | tuple):
            return [self.schema(each) for each in shape]
        return shape

    def parameter(self, name: str, place: str, parameter: Parameter, *, shared: bool) -> Schema:
        schema = self.schema(parameter.shape)
        written = {"name": name, "in": place, "required": parameter.required or place == "path"}
        written |= {"description": parameter.description, "schema": schema}
        if schema.get("type") == "array":
            written |= {"style": "form", "explode": parameter.repeated}
        if shared:
            return self._once(name, ResolvedComponent.PARAMETER, parameter, written)
        return written

    def request_header(self, name: str) -> Schema:
        header = REQUEST[name]
        written = {"name": name, "in": "header", "required": False}
        written |= {"description": header.description, "schema": self.schema(header.shape)}
        return self._once(name, ResolvedComponent.PARAMETER, header, written)

    def header(self, name: str) -> Schema:
        header = ANSWER[name]
        written = {"description": header.description, "schema": self.schema(header.shape)}
        written["required"] = header.is_certain
        return self._once(name, ResolvedComponent.HEADER, header, written)

    def response(self, name: str, response: Schema) -> Schema:
        return self._once(name, ResolvedComponent.RESPONSE, name, response)

    def _once(self, name: str, kind: str, origin: object, written: Any) -> Schema:
        component = _component(name, kind, origin)
        if component not in self._registry:
            self._registry.register(component)
            component.schema = self.schema(written)  # afterwards, since a shape may hold itself
        elif self._registry[component].object != component.object:
            raise SameName(f"Two different {kind} are called {name}. Rename one.")
        reference: Schema = component.ref
        return reference


def _component(name: str, kind: str, origin: object) -> Any:
    make, identity = cast("Any", ResolvedComponent), cast("Any", ComponentIdentity)
    return make(name, kind, object=identity(origin))
