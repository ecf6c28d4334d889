"""Requests as coding agents send them, in the middle of their work: by hand, with everything that such a request can have."""

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PATH = {"type": "string", "description": "Absolute path"}
NAMES = ["Agent", "Bash", "Edit", "Glob", "Grep", "NotebookEdit", "Read", "Skill", "TaskCreate", "TaskList", "TaskOutput",
         "TaskUpdate", "WebFetch", "WebSearch", "Write"]


def schema(draft=True):
    """Arguments with most of what schemas of tools have."""
    value = {
        "type": "object",
        "properties": {
            "path": PATH,
            "limit": {"type": "integer", "minimum": 1, "exclusiveMaximum": 2000, "default": 100},
            "mode": {"type": "string", "enum": ["fast", "exact"]},
            "todos": {"type": "array", "minItems": 1, "items": {
                "type": "object", "properties": {"content": {"type": "string", "minLength": 1}, "done": {"type": "boolean"}},
                "required": ["content", "done"], "additionalProperties": False}},
            "where": {"anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]},
            "extra": {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"type": "string"}},
        },
        "required": ["path"],
        "additionalProperties": False,
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **value} if draft else value


EPHEMERAL = {"type": "ephemeral"}
CLAUDE = {
    "max_tokens": 32000,
    "system": [
        {"type": "text", "text": "You are a coding agent.", "cache_control": EPHEMERAL},
        {"type": "text", "text": "The folder is /work.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ],
    "tools": [{"name": name, "description": f"{name}s.", "input_schema": schema()} for name in NAMES[:-1]]
    + [{"name": NAMES[-1], "description": "Writes.", "input_schema": schema(), "cache_control": EPHEMERAL}],
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "<system-reminder>Be careful.</system-reminder>"},
            {"type": "text", "text": "What is in the picture?", "cache_control": EPHEMERAL}]},
        {"role": "assistant", "content": [
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "toolu_01A", "name": "Read", "input": {"path": "/photos/a.png"}},
            {"type": "tool_use", "id": "toolu_01B", "name": "Bash", "input": {"path": "/work"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_01A", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]},
            {"type": "tool_result", "tool_use_id": "toolu_01B", "is_error": True, "content": "exit 1", "cache_control": EPHEMERAL}]},
    ],
    "metadata": {"user_id": "{\"device_id\":\"d\",\"session_id\":\"s\"}"},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "temperature": 1,
    "stream": True,
}

CALLS = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "A look is due."}], "encrypted_content": "gAAAA"},
    {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
     "content": [{"type": "output_text", "text": "Let me look.", "annotations": []}]},
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "exec_command", "arguments": "{\"path\":\"/work\"}"},
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "apply_patch", "input": "*** Begin Patch\n*** End Patch"},
    {"type": "function_call", "id": "fc_3", "call_id": "call_3", "name": "view_image", "arguments": "{\"path\":\"/photos/a.png\"}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "Exit code: 0\nOutput:\na.png"},
    {"type": "custom_tool_call_output", "call_id": "call_2", "output": "Done."},
    {"type": "function_call_output", "call_id": "call_3", "output": [
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]},
]
CODEX = {
    "instructions": "You are a coding agent.",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "<permissions>ask</permissions>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>bash</environment_context>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is in the picture?"}]},
        *CALLS,
    ],
    "tools": [{"type": "function", "name": name, "description": "Runs.", "strict": False, "parameters": schema(False)}
              for name in ("exec_command", "write_stdin", "update_plan", "view_image")] + [
        {"type": "custom", "name": "apply_patch", "description": "Edits files.",
         "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin_patch end_patch"}},
        {"type": "namespace", "name": "agents", "description": "Sub-agents.", "tools": [
            {"type": "function", "name": "spawn", "description": "Starts one.", "strict": False, "parameters": schema(False)}]},
        {"type": "web_search", "external_web_access": False},
    ],
    "tool_choice": "auto", "parallel_tool_calls": True, "store": False, "stream": True,
    "reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"],
    "text": {"verbosity": "low"}, "prompt_cache_key": "01a1fe91", "client_metadata": {"turn_id": "1"},
}

GEMINI = {
    "systemInstruction": {"role": "user", "parts": [{"text": "You are a coding agent."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "<session_context>today</session_context>"}, {"text": "What is in the picture?"}]},
        {"role": "model", "parts": [
            {"text": "A look is due.", "thought": True},
            {"functionCall": {"id": "list__1", "name": "list_directory", "args": {"path": "/work"}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "read__2", "name": "read_file", "args": {"path": "/photos/a.png"}}}]},
        {"role": "user", "parts": [
            {"functionResponse": {"id": "list__1", "name": "list_directory", "response": {"output": "a.png"}}},
            {"functionResponse": {"id": "read__2", "name": "read_file", "response": {"error": "too large"}}},
            {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
    ],
    "tools": [{"functionDeclarations": [
        {"name": name, "description": "Runs.", "parametersJsonSchema": schema(False)}
        for name in ("list_directory", "read_file", "write_file", "run_shell_command")]}],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
    "generationConfig": {"temperature": 1, "topP": 0.95, "topK": 64,
                         "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"}},
}

# Path and body.
REQUESTS = {
    "as Claude Code": ("/v1/messages", CLAUDE),
    "as Codex": ("/v1/responses", CODEX),
    "as Gemini CLI": ("/v1beta/models/m:generateContent", GEMINI),
}
