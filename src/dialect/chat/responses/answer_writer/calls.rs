//! Calls of tools.

use super::super::super::nesting::Nesting;
use super::super::output::Call;
use super::Writer;

impl Writer {
    pub(super) fn call(&mut self, call: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        self.close_open("completed", out);
        let tools = &self.head.echo.tools;
        let carried = tools.iter().position(|tool| tool.name == name);
        let is_custom = carried.is_some_and(|tool| tools[tool].is_custom);
        let place = self.place(if is_custom { "ctc" } else { "fc" });
        let (id, name, arguments) = (id.to_owned(), name.to_owned(), String::new());
        self.kept += id.len() + name.len();
        let call = Call { place, call, id, name, arguments, nesting: Nesting::default(), carried };
        let item = call.item(carried.and_then(|tool| self.head.echo.tools.get(tool)), "in_progress");
        self.lines.say_item(out, "response.output_item.added", call.place.index, &item);
        self.calls.push(call);
    }

    pub(super) fn argue(&mut self, call: u32, json: &str, out: &mut Vec<u8>) {
        let open = self.calls.iter_mut().rfind(|own| own.call == call);
        let Some(call) = open.filter(|_| !json.is_empty()) else { return };
        self.kept += json.len();
        call.arguments.push_str(json);
        call.nesting.push(json.as_bytes());
        // A custom tool's input is known when its arguments are whole.
        if !call.carried.is_some_and(|tool| self.head.echo.tools[tool].is_custom) {
            self.lines.say(out, "response.function_call_arguments.delta", |event| {
                event.member("item_id", &call.place.id);
                event.member("output_index", &call.place.index);
                event.member("delta", json);
            });
        }
    }

    /// Calls are complete, or will not be.
    pub(super) fn close_calls(&mut self, ends: impl Fn(&Call) -> bool, status: &str, out: &mut Vec<u8>) {
        let (ended, open): (Vec<Call>, Vec<Call>) = std::mem::take(&mut self.calls).into_iter().partition(ends);
        self.calls = open;
        ended.into_iter().for_each(|call| self.close_call(call, status, out));
    }

    fn close_call(&mut self, mut call: Call, status: &str, out: &mut Vec<u8>) {
        let carried = call.carried.and_then(|tool| self.head.echo.tools.get(tool));
        let (place, lines) = (&call.place, &mut self.lines);
        let mut say = |kind: &str, name: &str, text: &str| {
            lines.say(out, kind, |event| {
                event.member("item_id", &place.id);
                event.member("output_index", &place.index);
                event.member(name, text);
            });
        };
        if carried.is_some_and(|tool| tool.is_custom) {
            let input = call.input();
            say("response.custom_tool_call_input.delta", "delta", &input);
            say("response.custom_tool_call_input.done", "input", &input);
        } else {
            if call.arguments.is_empty() {
                call.arguments.push_str("{}");
                say("response.function_call_arguments.delta", "delta", "{}");
            }
            say("response.function_call_arguments.done", "arguments", &call.arguments);
        }
        let item = call.item(carried, status);
        self.done(call.place.index, item, out);
    }
}
