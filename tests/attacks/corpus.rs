//! Requests that two servers could read differently: tables, and what is made of them.

/// What must become of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// 4xx, nothing upstream, and the connection ends.
    Refused,
    /// Understood, and refused for another reason: 4xx, nothing upstream.
    Denied,
    /// One request upstream, with the body that was sent.
    One,
    /// It is not complete, and the client sends no more: nothing upstream.
    Cut,
}

use Expected::{Cut, Denied, One, Refused};

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

/// Stands in every body, and is replaced by the case's own text of the same length.
pub(crate) const SAYS: &str = "case-0000";
/// What the second request says that is hidden in a first.
pub(crate) const POISON: &str = "poisonous";

/// What a case is written with.
pub(crate) struct Writer<'a> {
    pub(crate) key: &'a str,
}

/// In names and values of fields: none of these belongs there.
const STRAY: [u8; 30] = [
    0, 1, 8, 9, 0x0b, 0x0c, 0x0d, 0x1f, b' ', 0x7f, 0x80, 0xa0, 0xff, b'"', b'(', b')', b',', b'/', b':', b';', b'<',
    b'=', b'>', b'?', b'@', b'[', b'\\', b']', b'{', b'}',
];

pub(crate) fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

impl Writer<'_> {
    pub(crate) fn body(&self) -> String {
        super::stage::chat(SAYS)
    }

    /// The fields that every case has.
    pub(crate) fn common(&self) -> String {
        format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", self.key)
    }

    /// A request whose head has these lines more.
    pub(crate) fn with(&self, lines: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
        self.whole("POST /v1/chat/completions HTTP/1.1", "host: gateway.test\r\n", lines, body)
    }

    pub(crate) fn whole(&self, line: &str, host: &str, lines: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
        let head = format!("{line}\r\n{host}{}", self.common());
        [head.as_bytes(), lines.as_ref(), b"\r\n", body.as_ref()].concat()
    }

    pub(crate) fn length(&self) -> usize {
        self.body().len()
    }

    pub(crate) fn chunked(&self) -> Vec<u8> {
        format!("{:x}\r\n{}\r\n0\r\n\r\n", self.length(), self.body()).into_bytes()
    }

    /// A whole request that must not be one.
    pub(crate) fn poison(&self) -> Vec<u8> {
        let body = super::stage::chat(POISON);
        self.with(format!("content-length: {}\r\n", body.len()), body)
    }

    /// Every case.
    pub(crate) fn cases(&self) -> Vec<Case> {
        let mut cases = Vec::new();
        for part in [
            Self::stray_bytes,
            Self::lengths,
            Self::codings,
            Self::both,
            Self::chunks,
            Self::request_lines,
            Self::hosts,
            Self::fields,
            Self::other_protocols,
            Self::pipelines,
        ] {
            part(self, &mut cases);
        }
        cases
    }

    pub(crate) fn case(cases: &mut Vec<Case>, name: impl Into<String>, expected: Expected, bytes: Vec<u8>) {
        cases.push(Case { name: name.into(), bytes, expected });
    }

    /// Both fields that delimit a body, with a stray byte in every place.
    fn stray_bytes(&self, cases: &mut Vec<Case>) {
        let length = self.length().to_string();
        let framings: [(&str, &str, &str, Vec<u8>); 2] = [
            ("Content-", "Length", &length, self.body().into_bytes()),
            ("Transfer-", "Encoding", "chunked", self.chunked()),
        ];
        for (first, second, value, body) in framings {
            for stray in STRAY {
                let parts = [first, second, ": ", value].map(str::as_bytes);
                for place in 0..=4 {
                    let mut line: Vec<u8> = parts[..place.min(2)].concat();
                    match place {
                        0..=2 => line.push(stray),
                        3 => line.extend([b':', stray]),
                        _ => line.extend([b": ", value.as_bytes(), &[stray]].concat()),
                    }
                    match place {
                        0..=2 => line.extend(parts[place..].concat()),
                        3 => line.extend(value.as_bytes()),
                        _ => {}
                    }
                    line.extend(b"\r\n");
                    let blank = matches!(stray, b' ' | b'\t');
                    let expected = if place >= 3 && blank { One } else { Refused };
                    Self::case(cases, text(&line), expected, self.with(&line, &body));
                }
            }
            for end in ["\n", "\r", "\r\r\n", "\n\r", "\0\r\n", "\r\n ", "\r\n\t", "\r\n \r\n"] {
                let line = format!("{first}{second}: {value}{end}");
                Self::case(cases, text(line.as_bytes()), Refused, self.with(&line, &body));
            }
        }
    }

    fn lengths(&self, cases: &mut Vec<Case>) {
        let n = self.length();
        let wrong = [
            format!("+{n}"),
            format!("-{n}"),
            format!("0x{n:x}"),
            format!("{n:x}h"),
            format!("{n}e0"),
            format!("{n}.0"),
            format!("{n}, {n}"),
            format!("{n},{n}"),
            format!("{n} {n}"),
            format!("{n}, 0"),
            format!("0, {n}"),
            format!("{n},"),
            format!(",{n}"),
            format!("\"{n}\""),
            format!("'{n}'"),
            format!("{n};a=b"),
            format!("{n}_0"),
            format!("{n}b"),
            format!("--{n}"),
            format!("{n}-"),
            format!("0o{n:o}"),
            format!("0b{n:b}"),
            "99999999999999999999".to_owned(),
            "18446744073709551616".to_owned(),
            "9223372036854775808".to_owned(),
            String::new(),
            " ".to_owned(),
            "NaN".to_owned(),
            "null".to_owned(),
            "inf".to_owned(),
            "-0".to_owned(),
            "-1".to_owned(),
            "\u{0661}\u{0662}".to_owned(),
            "\u{ff11}".to_owned(),
            "1\u{a0}".to_owned(),
            format!("{n}\r\nContent-Length: {n}"),
            format!("{n}\r\nContent-Length: 0"),
            format!("0\r\nContent-Length: {n}"),
            format!("{n}\r\ncontent-length: +{n}"),
            format!("{n}\r\ncontent-length:"),
            format!("{n}\r\n {n}"),
        ];
        for value in wrong {
            Self::case(
                cases,
                format!("length {value:?}"),
                Refused,
                self.with(format!("content-length: {value}\r\n"), self.body()),
            );
        }
        for value in [format!("{n}"), format!("00{n}"), format!("000000000{n}"), format!("{n}   "), format!("   {n}")] {
            Self::case(
                cases,
                format!("length {value:?}"),
                One,
                self.with(format!("Content-Length: {value}\r\n"), self.body()),
            );
        }
        for (name, length) in [("none", None), ("0", Some(0)), ("one less", Some(n - 1)), ("half", Some(n / 2))] {
            let line = length.map(|length| format!("content-length: {length}\r\n")).unwrap_or_default();
            Self::case(
                cases,
                format!("length {name}, with more behind"),
                Refused,
                self.with(&line, [self.body().into_bytes(), self.poison()].concat()),
            );
            Self::case(cases, format!("length {name}"), Refused, self.with(line, self.body()));
        }
        Self::case(cases, "length one more", Cut, self.with(format!("content-length: {}\r\n", n + 1), self.body()));
        Self::case(
            cases,
            "length above every limit",
            Refused,
            self.with("content-length: 999999999999\r\n", self.body()),
        );
    }

    fn codings(&self, cases: &mut Vec<Case>) {
        for value in ["chunked", "Chunked", "CHUNKED", "  chunked", "chunked  ", "\tchunked\t"] {
            Self::case(
                cases,
                format!("coding {value:?}"),
                One,
                self.with(format!("Transfer-Encoding: {value}\r\n"), self.chunked()),
            );
        }
        for value in [
            "",
            "identity",
            "gzip",
            "deflate",
            "compress",
            "br",
            "zstd",
            "trailers",
            "chunked, identity",
            "identity, chunked",
            "gzip, chunked",
            "chunked, gzip",
            "chunked, chunked",
            "chunked,",
            ",chunked",
            ", chunked",
            "x chunked",
            "chunked x",
            "xchunked",
            "chunkedx",
            "chunk",
            "chunke",
            "\"chunked\"",
            "'chunked'",
            "chunked;q=1",
            "chunked; a=b",
            "chunked;",
            "ch\tunked",
            "chun\u{212a}ed",
            "0",
            "chunked\r\n\tx",
            "x\r\n chunked",
            "chunked\r\nTransfer-Encoding: chunked",
            "chunked\r\nTransfer-Encoding: identity",
            "identity\r\nTransfer-Encoding: chunked",
            "\r\nTransfer-Encoding: chunked",
            "chunked\r\nTransfer-Encoding:",
            "gzip\r\nTransfer-Encoding: chunked",
            "cow\r\ntransfer-encoding: chunked",
        ] {
            Self::case(
                cases,
                format!("coding {value:?}"),
                Refused,
                self.with(format!("Transfer-Encoding: {value}\r\n"), self.chunked()),
            );
        }
        let old = self.whole(
            "POST /v1/chat/completions HTTP/1.0",
            "host: gateway.test\r\n",
            "transfer-encoding: chunked\r\n",
            self.chunked(),
        );
        Self::case(cases, "a coding in HTTP/1.0", Refused, old);
    }

    fn both(&self, cases: &mut Vec<Case>) {
        let (n, chunked) = (self.length(), self.chunked());
        for length in [0, 4, n, chunked.len(), chunked.len() + self.poison().len()] {
            for coding in ["chunked", "identity", "xchunked", "\x0bchunked"] {
                let lines = [format!("content-length: {length}\r\n"), format!("transfer-encoding: {coding}\r\n")];
                let body = [chunked.clone(), self.poison()].concat();
                Self::case(cases, format!("length {length} and {coding:?}"), Refused, self.with(lines.concat(), &body));
                Self::case(
                    cases,
                    format!("{coding:?} and length {length}"),
                    Refused,
                    self.with(format!("{1}{0}", lines[0], lines[1]), &body),
                );
            }
        }
    }

    fn chunks(&self, cases: &mut Vec<Case>) {
        let (body, n) = (self.body(), self.length());
        let (first, second) = body.split_at(9);
        let rest = second.len();
        let one = [
            format!("{n:x};a=b\r\n{body}\r\n0\r\n\r\n"),
            format!("{n:x};a=\"b;c\"\r\n{body}\r\n0\r\n\r\n"),
            format!("{n:x};a;b;c=d\r\n{body}\r\n0\r\n\r\n"),
            format!("{n:X}\r\n{body}\r\n0\r\n\r\n"),
            format!("000{n:x}\r\n{body}\r\n0\r\n\r\n"),
            format!("{n:x}\r\n{body}\r\n000\r\n\r\n"),
            format!("9\r\n{first}\r\n{rest:x}\r\n{second}\r\n0\r\n\r\n"),
            format!("9;x=1\r\n{first}\r\n{rest:x};y=2\r\n{second}\r\n0;z\r\n\r\n"),
            format!("{n:x}\r\n{body}\r\n0\r\nx-trailer: 1\r\n\r\n"),
            format!("{n:x}\r\n{body}\r\n0\r\nauthorization: Bearer x\r\nx: 1\r\n\r\n"),
            format!("{n:x}\r\n{body}\r\n0\r\ncontent-length: 5\r\n\r\n"),
            format!("{n:x}\r\n{body}\r\n0\r\ntransfer-encoding: chunked\r\n\r\n"),
            format!("{n:x}\r\n{body}\r\n0\r\nhost: evil.example\r\n\r\n"),
        ];
        for chunks in one {
            Self::case(cases, format!("chunks {chunks:?}"), One, self.with("transfer-encoding: chunked\r\n", chunks));
        }
        let sizes = [
            format!("0x{n:x}"),
            format!("+{n:x}"),
            format!("-{n:x}"),
            format!("{n:x}h"),
            format!("{n:x}g"),
            format!("{n:x}.0"),
            format!("{n:x} 0"),
            format!("\"{n:x}\""),
            "g".to_owned(),
            "-1".to_owned(),
            "ffffffffffffffff".to_owned(),
            "fffffffffffffffff".to_owned(),
            "10000000000000000".to_owned(),
            format!("{n:x},{n:x}"),
            format!("{n:x}\0"),
            format!("{n:x}\x0b"),
            format!("_{n:x}"),
            format!("{n:x}_"),
            format!("\u{ff11}{n:x}"),
            format!("{n:x}\r"),
        ];
        for size in sizes {
            let chunks = format!("{size}\r\n{body}\r\n0\r\n\r\n");
            Self::case(
                cases,
                format!("chunk of {size:?}"),
                Refused,
                self.with("transfer-encoding: chunked\r\n", chunks),
            );
        }
        let broken = [
            format!("{n:x}\n{body}\r\n0\r\n\r\n"),
            format!("{n:x}\r{body}\r\n0\r\n\r\n"),
            format!("{n:x}\r\n{body}\n0\r\n\r\n"),
            format!("{n:x}\r\n{body}0\r\n\r\n"),
            format!("{n:x}\r\n{body}XX0\r\n\r\n"),
            format!("{n:x}\r\n{body}\r\r0\r\n\r\n"),
            format!("{:x}\r\n{body}\r\n0\r\n\r\n", n - 1),
            format!("9\r\n{body}\r\n0\r\n\r\n"),
            format!("{n:x};a\rb\r\n{body}\r\n0\r\n\r\n"),
        ];
        for chunks in broken {
            Self::case(
                cases,
                format!("chunks {chunks:?}"),
                Refused,
                self.with("transfer-encoding: chunked\r\n", chunks),
            );
        }
        // Without a size: Pingora takes it for the last chunk, and what follows for trailers. So the body is empty.
        for chunks in [
            format!("\r\n{body}\r\n0\r\n\r\n"),
            format!(";{n:x}\r\n{body}\r\n0\r\n\r\n"),
            format!("\r\n{n:x}\r\n{body}\r\n0\r\n\r\n"),
        ] {
            Self::case(
                cases,
                format!("chunks {chunks:?}"),
                Denied,
                self.with("transfer-encoding: chunked\r\n", chunks),
            );
        }
        for chunks in [
            format!("{n:x}\r\n{body}\r\n"),
            format!("{n:x}\r\n{body}\r\n0\r\n"),
            format!("{:x}\r\n{body}", n + 9),
            format!("{n:x}\r\n{body}\r\n0\r\nx: 1\r\n"),
            format!("{n:x}"),
            format!("8000000000000000\r\n{body}"),
            format!("{n:x};a=b\n{body}\r\n0\r\n\r\n"),
        ] {
            Self::case(cases, format!("chunks {chunks:?}"), Cut, self.with("transfer-encoding: chunked\r\n", chunks));
        }
    }
}
