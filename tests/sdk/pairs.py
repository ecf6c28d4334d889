"""A gateway in front of the simulated provider, with one model for each dialect that an upstream can speak."""
import subprocess

from gateway import Gateway, first_line

# What a client asks for, the row whose upstream speaks that dialect alone, what its base URL ends with, the provider's model.
UPSTREAMS = {
    "chat": ("nvidia", "/v1", "demo-gpt"),
    "responses": ("openai-responses", "/v1", "demo-gpt"),
    "messages": ("anthropic", "", "demo-claude"),
    "generate": ("gemini", "", "demo-gemini"),
}
MODELS = list(UPSTREAMS)


class Pairs:
    """The provider and the gateway; a context."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder

    def __enter__(self):
        self.provider = subprocess.Popen([self.binary, "demo", "--provider-only"], stdout=subprocess.PIPE, text=True)
        url = first_line(self.provider)
        tables = [{"name": name, "provider": row, "base_url": url + suffix, "api_key": "provider-key",
                   "models": [{"name": name, "upstream_model": model}]}
                  for name, (row, suffix, model) in UPSTREAMS.items()]
        self.gateway = Gateway(self.binary, self.folder, tables, "", '[pricing]\nunknown_model = "allow"\n')
        self.key, self.url = self.gateway.key("pairs"), self.gateway.url
        self.gateway.serve()
        return self

    def __exit__(self, *_):
        self.gateway.stop()
        self.provider.kill()
        self.provider.wait()
