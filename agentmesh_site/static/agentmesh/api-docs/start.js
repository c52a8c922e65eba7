// Swagger UI with our document. In a file of its own, since the page allows no inline script.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

const cookie = (name) =>
  document.cookie
    .split("; ")
    .find((each) => each.startsWith(name + "="))
    ?.slice(name.length + 1);

SwaggerUIBundle({
  url: document.getElementById("api").dataset.document,
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  showExtensions: false,
  validatorUrl: null, // it would be asked over the network
  // Whoever is signed in to the pages and gives no token asks with the session.
  requestInterceptor: (request) => {
    const token = cookie("csrftoken");
    if (token && !request.headers.Authorization && request.method !== "GET") {
      request.headers["X-CSRFToken"] ??= token;
    }
    return request;
  },
});
