//! YAML text becomes a tree whose every value knows its place, in bounded time and memory.
//!
//! It reads what a configuration file needs of YAML 1.2: mappings with plain keys, lists, and scalars. Aliases are
//! refused, because a few lines of them unfold to billions of values, and a finding inside one would point at the
//! wrong place; so are tags and further documents. Built on the events of `granit-parser`, the parser under
//! `serde-saphyr`. Not here: which keys there are (`raw`).

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError};

use super::rule::Rule;
use crate::diag::{Findings, Problem, Reported, Span};

/// Levels of nesting. `services[].to[]` is the deepest that a fleet has, at 5.
const DEEPEST: usize = 24;
/// Values in one file; 1,000 ingress nodes and 200 services are 7,000.
const MOST_VALUES: usize = 200_000;

/// A value and where it was written.
#[derive(Debug)]
pub(super) struct Node {
    /// Quotes, braces and brackets included.
    pub(super) span: Span,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, number or truth value: what it is to be is decided where it is used.
    Scalar {
        text: String,
        /// Written without quotes, so that it may be a number or a truth value.
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<Pair>),
    /// Refused, and reported.
    Refused(Reported),
}

/// One key of a mapping with its value.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

/// Reads one document. Syntax errors end it; what else is refused is reported and stands as [`Value::Refused`].
pub(super) fn parse(text: &str, findings: &mut Findings) -> Result<Node, Reported> {
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: DEEPEST,
        block_nesting_limit: DEEPEST,
    };
    let mut builder =
        Builder { text, findings, open: Vec::new(), root: None, values: 0, documents: 0, alias: None };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(event, span_of(&span))?,
            Err(error) => return Err(syntax_error(text, &error, builder.findings)),
        }
    }
    let empty = Problem::new(Rule::EmptyFile, "the file holds no fleet")
        .hint("`meshboot init` writes one to start from");
    match builder.root {
        Some(Node { value: Value::Null, .. }) | None => Err(findings.error_in_file(empty)),
        Some(root) => Ok(root),
    }
}

fn span_of(span: &granit_parser::Span) -> Span {
    // Parsing from a `str` gives byte offsets always; zero would only misplace a caret.
    let range = span.byte_range().unwrap_or_default();
    Span { start: range.start, end: range.end }
}

fn syntax_error(text: &str, error: &ScanError, findings: &mut Findings) -> Reported {
    let at = error.marker().byte_offset().unwrap_or_default().min(text.len());
    let span = Span { start: at, end: at };
    super::hidden::values_on_line(text, at, findings);
    let problem = match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            Problem::new(Rule::YamlSize, format!("nested deeper than {DEEPEST} levels"))
                .hint("no fleet is: is this the right file?")
        }
        ErrorKind::DirectiveDisallowed => {
            Problem::new(Rule::YamlSyntax, "a YAML directive has no meaning here")
                .hint("remove the line that starts with `%`")
        }
        kind => {
            let problem = Problem::new(
                Rule::YamlSyntax,
                format!("not valid YAML: {}", crate::diag::escape(&error.info())),
            );
            problem.hint(hint_for(kind))
        }
    };
    findings.error(span, problem)
}

fn hint_for(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabNotAllowed => {
            "indent with spaces"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put the value in quotes",
        ErrorKind::UnclosedQuotedScalar => "close the quotes",
        ErrorKind::UnclosedFlowCollection { .. } | ErrorKind::UnexpectedEofFlowMapping => "close the bracket",
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::SimpleKeyExpected | ErrorKind::InvalidIndentation => {
            "a key needs `: ` after it, and the keys of one mapping the same indentation"
        }
        _ => "the mistake may be above: look for a bracket or quote that is not closed",
    }
}

/// A collection that is still being read.
struct Open {
    span: Span,
    value: OpenValue,
    block: bool,
}

enum OpenValue {
    Sequence(Vec<Node>),
    /// Pairs so far, what the next value is, and whether a key was refused.
    Mapping(Vec<Pair>, Next, Option<Reported>),
}

/// What the next value of a mapping is.
enum Next {
    Key,
    ValueOf(String, Span),
    /// The value of a key that was refused.
    Dropped(Reported),
}

struct Builder<'a> {
    text: &'a str,
    findings: &'a mut Findings,
    open: Vec<Open>,
    root: Option<Node>,
    values: usize,
    documents: usize,
    /// Aliases are reported once: a bomb has many.
    alias: Option<Reported>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Reported> {
        let tagged = event.tag().is_some();
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let problem = Problem::new(Rule::YamlDocuments, "a second document starts here")
                        .hint("a fleet is one document: remove the `---` and what follows");
                    return Err(self.findings.error(span, problem));
                }
            }
            Event::Scalar(text, style, ..) => {
                let value = scalar(&text, style);
                self.close(span, value, tagged)?;
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let reported = self.alias.unwrap_or_else(|| refuse_alias(span, self.findings));
                self.alias = Some(reported);
                self.close(span, Value::Refused(reported), false)?;
            }
            Event::SequenceStart(style, ..) => {
                self.start(span, style, tagged, OpenValue::Sequence(Vec::new()));
            }
            Event::MappingStart(style, ..) => {
                self.start(span, style, tagged, OpenValue::Mapping(Vec::new(), Next::Key, None));
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span)?,
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, span: Span, style: granit_parser::StructureStyle, tagged: bool, value: OpenValue) {
        if tagged {
            self.refuse_tag(span);
        }
        let block = style == granit_parser::StructureStyle::Block;
        self.open.push(Open { span, value, block });
    }

    fn end(&mut self, end: Span) -> Result<(), Reported> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let (value, last) = match open.value {
            OpenValue::Sequence(items) => {
                let last = items.last().map(|item| item.span.end);
                (Value::Sequence(items), last)
            }
            // A mapping of refused keys alone, as `{{ template }}` reads, says nothing more.
            OpenValue::Mapping(pairs, _, Some(reported)) if pairs.is_empty() => {
                (Value::Refused(reported), None)
            }
            OpenValue::Mapping(pairs, ..) => {
                let last = pairs.last().map(|pair| pair.value.span.end.max(pair.key_span.end));
                (Value::Mapping(pairs), last)
            }
        };
        // The event that ends a block collection stands where the next token starts.
        let end = if open.block { last.unwrap_or(open.span.end) } else { end.end };
        let span = Span { start: open.span.start, end };
        self.close(span, value, false)
    }

    fn refuse_tag(&mut self, span: Span) -> Reported {
        let problem =
            Problem::new(Rule::YamlTag, "tags are not read").hint("remove the word that starts with `!`");
        self.findings.error(span, problem)
    }

    /// A value is complete: it becomes a key, a value, an item or the root.
    fn close(&mut self, span: Span, value: Value, tagged: bool) -> Result<(), Reported> {
        self.values += 1;
        if self.values > MOST_VALUES {
            let problem = Problem::new(Rule::YamlSize, format!("more than {MOST_VALUES} values"))
                .hint("no fleet has so many: is this the right file?");
            return Err(self.findings.error(span, problem));
        }
        let value = if tagged { Value::Refused(self.refuse_tag(span)) } else { value };
        let node = Node { span, value };
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.value {
            OpenValue::Sequence(items) => items.push(node),
            OpenValue::Mapping(pairs, next, refused) => match std::mem::replace(next, Next::Key) {
                Next::ValueOf(key, key_span) => pairs.push(Pair { key, key_span, value: node }),
                Next::Dropped(reported) => *refused = Some(reported),
                Next::Key => *next = key_of(node, self.text, self.findings),
            },
        }
        Ok(())
    }
}

fn refuse_alias(span: Span, findings: &mut Findings) -> Reported {
    let problem = Problem::new(Rule::YamlAlias, "aliases are not read")
        .hint("write the value out: a few lines of aliases can unfold to billions of values");
    findings.error(span, problem)
}

/// What follows a key: its value, or one to drop because the key was refused.
fn key_of(node: Node, text: &str, findings: &mut Findings) -> Next {
    let templated =
        text[..node.span.start.min(text.len())].ends_with('{') || text[node.span.start..].starts_with("{{");
    let (message, hint) = match node.value {
        Value::Scalar { text, .. } if text == "<<" => ("merge keys are not read", "write the keys out"),
        Value::Scalar { text, .. } => return Next::ValueOf(text, node.span),
        Value::Refused(reported) => return Next::Dropped(reported),
        Value::Null => ("a key without a name", "write `key: value`"),
        _ if templated => ("a key is not plain text", "put values with braces in quotes"),
        _ => ("a key is not plain text", "write `key: value`"),
    };
    let rule = if message.starts_with("merge") { Rule::YamlAlias } else { Rule::YamlKey };
    Next::Dropped(findings.error(node.span, Problem::new(rule, message).hint(hint)))
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar { text: text.to_owned(), plain }
}
