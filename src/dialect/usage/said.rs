//! What an answer has said so far, and what it comes to: which report is in force, and what that leaves out.

use tollgate_plugin_api::{ExtraUsage, Metered, ServiceTier, Usage, UsageSource};

use super::count::Tier;
use super::error_event::ErrorEvent;
use super::executed::Executed;
use super::facts::Kind;
use super::image_tool::ImageTool;
use super::made::Pieces;
use super::media::PassedMedia;
use super::reading::Reading;
use super::report::Report;
use super::rules::UsageRules;
use super::searches::TOOLS;
use crate::dialect::shape::Answer;

/// What the answer has said so far.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The report in force.
    report: Option<Box<Report>>,
    /// A later one could not be read at all.
    unreadable: bool,
    /// Its output count is more than the placeholder of a stream's start.
    pub(super) output_reported: bool,
    /// So is what it counts of the prompt.
    input_reported: bool,
    /// A report that was not believed has come.
    pub(super) disbelieved: bool,
    pub(super) token: bool,
    /// Reasons why generation ended, and answers that have begun, as far as these have numbers.
    pub(super) finishes: u32,
    pub(super) choices_begun: u32,
    /// How much of the text that has passed are thoughts, by those that say that they are.
    pub(super) thought_bytes: u64,
    pub(super) media: PassedMedia,
    pub(super) terminal: bool,
    pub(super) error: Option<ErrorEvent>,
    pub(super) tier: Tier,
    pub(super) of_gemini: bool,
    pub(super) searches: u64,
    pub(super) executed: Executed,
    /// How often other tools ran.
    pub(super) tools: [(&'static str, u64); TOOLS],
    pub(super) image_tool: Option<ImageTool>,
    pub(super) tool_model: Option<String>,
    pub(super) pieces: Pieces,
}

/// Sides of an answer that a report does not count. A zero that is written is a count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreported {
    /// The prompt.
    pub input: bool,
    /// What was generated.
    pub output: bool,
}

impl Said {
    /// A report replaces the one before; Anthropic's, field by field.
    pub(super) fn take(&mut self, mut report: Box<Report>, kind: Kind) {
        self.unreadable = matches!(*report, Report::Unreadable);
        self.disbelieved |= !report.is_believable();
        if self.unreadable {
            return;
        }
        match (self.report.as_deref_mut(), &mut *report) {
            (Some(Report::Anthropic(before)), Report::Anthropic(later)) => {
                self.output_reported |= kind == Kind::Delta && later.has_output();
                self.input_reported |= kind == Kind::Delta && later.counts_input();
                before.replace_with(std::mem::take(later));
            }
            // Beside what was counted before it is no count: OpenCode's gateway ends with what the answer cost, among zeros.
            (Some(before), nothing) if nothing.is_nothing() && !before.is_nothing() => {}
            _ => {
                let is_there = !matches!(&*report, Report::Anthropic(usage) if !usage.has_output());
                self.output_reported = kind != Kind::Start && is_there;
                self.input_reported = kind != Kind::Start;
                self.report = Some(report);
            }
        }
    }

    /// A report has come, be it one that cannot be read.
    pub(super) fn has_report(&self) -> bool {
        self.report.is_some() || self.unreadable
    }

    /// What the report in force, of this usage, leaves out. `is_cut`: the answer did not come to its end; `has_text`: text, images or
    /// sounds have passed.
    pub(super) fn unreported(&self, usage: &Usage, is_cut: bool, has_text: bool) -> Unreported {
        let Some(report) = self.report.as_deref() else { return Unreported::default() };
        // At the end of an answer, thoughts may be all there was.
        let thoughts = if is_cut { usage.reasoning_tokens } else { 0 };
        // Zeros while a stream goes on are what StepFun begins with, LiteLLM and GitHub's Copilot send all along.
        if is_cut && has_text && report.is_nothing() {
            return Unreported { input: true, output: true };
        }
        // What stands at a stream's start is a placeholder, and one that is cut may have nothing else. Of the prompt it mostly says what is
        // true; Z.ai, MiniMax, LiteLLM, Ollama before 2026-02 have zeros there (github.com/zai-org/GLM-5/issues/139,
        // BerriAI/litellm/issues/41406, ollama/ollama/pull/13934), and the last of these never anything else.
        let is_of_messages = matches!(report, Report::Anthropic(_)) && (is_cut || has_text);
        let output = match report {
            Report::Anthropic(_) => is_of_messages && !self.output_reported,
            _ => has_text && usage.output_tokens <= thoughts && !report.counts_output(),
        };
        let is_placeholder = is_of_messages && !self.input_reported;
        let input = usage.input_tokens == 0 && (is_placeholder || has_text && !report.counts_input());
        Unreported { input, output }
    }

    /// Where the report in force counts what was thought and nothing else that was generated: how many bytes of the text that has
    /// passed are thoughts.
    pub(super) fn thoughts_alone(&self) -> Option<u64> {
        self.report.as_ref().filter(|report| report.counts_thoughts_alone()).map(|_| self.thought_bytes)
    }

    /// What was reported of this kind of answer, if it is believed.
    pub(super) fn metered(&self, answer: Answer, rules: &UsageRules) -> Option<Metered> {
        let report = self.report.as_ref().filter(|report| report.is_report() && report.is_believable())?;
        // What was done so often is told beside counts.
        if report.has_units_alone() {
            return None;
        }
        if self.unreadable {
            return None;
        }
        let reading = report.reading(rules, self.of_gemini);
        let mut metered = Metered {
            usage: reading.usage,
            detail: reading.detail,
            source: UsageSource::Reported,
            disbelieved: self.disbelieved,
            ..self.beside(&reading, report.counts_runs()).0
        };
        // What is generated there is images, but for what is said to be another thing.
        if answer == Answer::Image && !report.details_output() {
            metered.detail.output_image_tokens = metered.usage.output_tokens - metered.usage.reasoning_tokens;
        }
        if !report.counts_runs() {
            metered.detail.web_searches = metered.detail.web_searches.max(self.searches());
        }
        Some(metered)
    }

    /// What was said beside counts, where those are not there or not believed.
    pub(super) fn uncounted(&self, rules: &UsageRules, asked: ServiceTier) -> Metered {
        let report = self.report.as_deref();
        let reading = report.map(|report| report.reading(rules, self.of_gemini)).unwrap_or_default();
        // What is billed on top is counted in the same report, if it counts anything.
        let is_kept = report.is_some_and(|report| report.has_units_alone() && report.is_believable());
        let extras = if is_kept { reading.extras } else { Vec::new() };
        let (mut metered, tier) = self.beside(&Reading { extras, ..reading }, false);
        metered.tier = tier.unwrap_or(asked);
        metered.detail.web_searches = self.searches();
        metered
    }

    fn searches(&self) -> u64 {
        self.searches.max(self.executed.searches())
    }

    /// What a report and the answer around it say beside counts; and the tier, if one is named. `counts_runs`: the report does, of the
    /// vendor's tools, those that are billed.
    fn beside(&self, reading: &Reading, counts_runs: bool) -> (Metered, Option<ServiceTier>) {
        let tier = reading.tier.or(self.tier.0);
        let image_tool = self.image_tool.and_then(|tool| tool.extra(self.tool_model.clone()));
        // What the report counts of them is what is billed: one that failed may be there, and not be.
        let is_counted = |kind: &str| counts_runs || reading.extras.iter().any(|extra| extra.kind == kind);
        let ran = self.tools.iter().copied().chain(self.executed.tools());
        let ran = ran.filter(|(kind, times)| *times > 0 && !is_counted(kind));
        let ran = ran.map(|(kind, times)| ExtraUsage::of_times(kind, times));
        let metered = Metered {
            extras: reading.extras.iter().cloned().chain(image_tool).chain(ran).collect(),
            tier: tier.unwrap_or_default(),
            inference_geo: reading.inference_geo.clone(),
            ..Metered::default()
        };
        (metered, tier)
    }
}
