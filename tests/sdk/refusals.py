"""Each refusal must come out of each SDK as the exception its users catch."""
import anthropic
import openai
from google.genai import errors

from cases import USER, Clients


def asks(clients, model):
    """The same request with each SDK; the model's name is the SDK's own where `model` is None."""
    return {
        "openai": lambda: clients.openai.chat.completions.create(model=model or "demo-gpt", messages=USER),
        "openai stream": lambda: clients.openai.chat.completions.create(model=model or "demo-gpt", messages=USER, stream=True),
        "responses": lambda: clients.openai.responses.create(model=model or "demo-gpt", input="x"),
        "anthropic": lambda: clients.anthropic.messages.create(model=model or "demo-claude", max_tokens=64, messages=USER),
        "gemini": lambda: clients.gemini.models.generate_content(model=model or "demo-gemini", contents="x"),
    }


# What is wrong: status, code, and the exception's name in the two SDKs that have one for each status.
REFUSALS = {
    "unknown key": (401, "AUTH_INVALID_TOKEN", "AuthenticationError"),
    "expired key": (401, "TOKEN_EXPIRED", "AuthenticationError"),
    "disabled key": (401, "AUTH_INVALID_TOKEN", "AuthenticationError"),
    "poor key": (402, "QUOTA_INSUFFICIENT", "APIStatusError|PaymentRequiredError"),
    "limited key": (403, "FORBIDDEN", "PermissionDeniedError"),
    "unknown model": (404, "MODEL_NOT_FOUND", "NotFoundError"),
    "unpriced model": (400, "PRICE_MISSING", "BadRequestError"),
}


def caught(ask):
    """The exception that a request ends in: (kind, class name, status, everything it says)."""
    try:
        ask()
    except openai.APIStatusError as error:
        return "openai", type(error).__name__, error.status_code, f"{error} {error.code} {error.body}"
    except anthropic.APIStatusError as error:
        return "anthropic", type(error).__name__, error.status_code, f"{error} {error.body}"
    except errors.APIError as error:
        return "gemini", type(error).__name__, error.code, f"{error} {error.details}"
    return "nothing", "none", 200, "no exception"


def check(url, keys):
    """Yields (name, what is wrong or None)."""
    for name, (status, code, exception) in REFUSALS.items():
        model = {"unknown model": "no-such-model", "unpriced model": "free"}.get(name)
        clients = Clients(url, keys.get(name, keys["rich key"]))
        for sdk, ask in asks(clients, model).items():
            if name == "unpriced model" and sdk in ("anthropic", "gemini"):
                continue  # the model is an OpenAI upstream's
            kind, klass, got, said = caught(ask)
            wanted = exception if kind != "gemini" else "ClientError"
            wrong = None
            if klass not in wanted.split("|") or got != status or code not in said:
                wrong = f"expected {wanted} {status} {code}, got {klass} {got}: {said}"
            yield f"{name}, {sdk}", wrong
