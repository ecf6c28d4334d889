//! Tables of places: paths in a JSON value, as a tree that the walk follows.

/// The deepest path a table of places may hold, in steps.
pub(super) const STEPS_MAX: usize = 10;
/// The node of a value that no place can be in.
pub(super) const NOWHERE: u16 = u16::MAX;

/// What is wanted of the value in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Take {
    /// The whole value, as it is written.
    Capture,
    /// What stands between the quotes, if it is a string. An object in its place, in which there are none, is text as it is written.
    Text,
    /// The whole value, as it is written, as generated text.
    Raw,
    /// Whether anything is in it (not `null`, `false`, `""`, `{}`, `[]`), and whether it is `null` or an empty array.
    Presence,
}

#[derive(Debug)]
pub(super) struct Node<S> {
    pub(super) keys: Vec<(&'static str, u16)>,
    pub(super) each: u16,
    pub(super) take: Option<(S, Take)>,
}

/// Paths under a common prefix: `(path, what it is called, what is wanted of it)`.
pub(in crate::dialect) type Group<S> = (&'static str, &'static [(&'static str, S, Take)]);

/// A table of places, as a tree.
#[derive(Debug)]
pub(in crate::dialect) struct Places<S> {
    nodes: Vec<Node<S>>,
}

impl<S: Copy> Places<S> {
    /// The table of these paths, each group's under its prefix. A path that is too deep for the walk is left out (a
    /// test keeps that from happening).
    pub(in crate::dialect) fn new(groups: &[Group<S>]) -> Self {
        let mut places = Self { nodes: vec![Node { keys: Vec::new(), each: NOWHERE, take: None }] };
        for &(prefix, paths) in groups {
            for &(path, slot, take) in paths {
                // Without a step: the value itself.
                let steps = || prefix.split('.').chain(path.split('.')).filter(|step| !step.is_empty());
                if steps().count() <= STEPS_MAX {
                    let node = steps().fold(0, |node, step| places.step(node, step));
                    places.nodes[usize::from(node)].take = Some((slot, take));
                }
            }
        }
        places
    }

    fn step(&mut self, from: u16, step: &'static str) -> u16 {
        let node = &self.nodes[usize::from(from)];
        let known = match step {
            "*" => Some(node.each).filter(|&next| next != NOWHERE),
            _ => node.keys.iter().find(|(key, _)| *key == step).map(|&(_, next)| next),
        };
        known.unwrap_or_else(|| {
            let next = u16::try_from(self.nodes.len()).unwrap_or(NOWHERE);
            self.nodes.push(Node { keys: Vec::new(), each: NOWHERE, take: None });
            match step {
                "*" => self.nodes[usize::from(from)].each = next,
                _ => self.nodes[usize::from(from)].keys.push((step, next)),
            }
            next
        })
    }

    pub(super) fn node(&self, at: u16) -> Option<&Node<S>> {
        self.nodes.get(usize::from(at))
    }
}
