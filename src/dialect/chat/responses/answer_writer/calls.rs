//! Calls of tools.

use super::super::output::{Call, Open};
use super::Writer;

impl Writer {
    pub(super) fn call(&mut self, call: u32, id: &str, name: &str, out: &mut Vec<u8>) {
        if !matches!(self.open, Open::Calls(_)) {
            self.close("completed", out);
            self.open = Open::Calls(Vec::new());
        }
        let tools = &self.head.echo.tools;
        let carried = tools.iter().position(|tool| tool.name == name);
        let is_custom = carried.is_some_and(|tool| tools[tool].is_custom);
        let place = self.place(if is_custom { "ctc" } else { "fc" });
        let (id, name, arguments) = (id.to_owned(), name.to_owned(), String::new());
        self.kept += id.len() + name.len();
        let call = Call { place, call, id, name, arguments, carried };
        let item = call.item(carried.and_then(|tool| self.head.echo.tools.get(tool)), "in_progress");
        self.lines.say_item(out, "response.output_item.added", call.place.index, &item);
        if let Open::Calls(calls) = &mut self.open {
            calls.push(call);
        }
    }

    pub(super) fn argue(&mut self, call: u32, json: &str, out: &mut Vec<u8>) {
        let Open::Calls(calls) = &mut self.open else { return };
        let Some(call) = calls.iter_mut().rfind(|own| own.call == call).filter(|_| !json.is_empty()) else { return };
        self.kept += json.len();
        call.arguments.push_str(json);
        // A custom tool's input is known when its arguments are whole.
        if !call.carried.is_some_and(|tool| self.head.echo.tools[tool].is_custom) {
            self.lines.say(out, "response.function_call_arguments.delta", |event| {
                event.member("item_id", &call.place.id);
                event.member("output_index", &call.place.index);
                event.member("delta", json);
            });
        }
    }

    pub(super) fn close_call(&mut self, mut call: Call, status: &str, out: &mut Vec<u8>) {
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
        self.done(call.place.index, &item, out);
    }
}
