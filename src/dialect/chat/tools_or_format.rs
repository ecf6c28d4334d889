//! Formats of answers beside tools, for vendors who take one of the two.

use super::request::{ChatRequest, Part, Tool, ToolChoice};
use super::wire::Inexpressible;

/// The tools of a request to a model that takes no format of the answer beside them. Where there is a format and nothing may be
/// called, they are none.
///
/// # Errors
/// Something may be called, or was, so that the tools cannot be left out; a format never can.
pub(super) fn tools_or_format<'r, 'a>(request: &'r ChatRequest<'a>) -> Result<&'r [Tool<'a>], Inexpressible> {
    let Some(format) = request.options.format.as_ref().filter(|_| !request.tools.is_empty()) else {
        return Ok(&request.tools);
    };
    let mut parts = request.messages.iter().flat_map(|message| &message.parts);
    let was_called = parts.any(|part| matches!(part, Part::ToolCall(_) | Part::ToolResult(_)));
    if request.options.tool_choice == Some(ToolChoice::None) && !was_called {
        return Ok(&[]);
    }
    Err(Inexpressible::new(format.field(), "a format of the answer beside tools"))
}
