"""The projection "fleet": which agents are well, which are not, and since when."""
