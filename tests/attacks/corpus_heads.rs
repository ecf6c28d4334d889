//! The part of the corpus that is not about a body's length: request lines, hosts, other fields, what is no HTTP, and
//! requests behind requests.

use crate::corpus::Expected::{Cut, Denied, One, Refused};
use crate::corpus::{Case, Writer, text};

impl Writer<'_> {
    pub(crate) fn request_lines(&self, cases: &mut Vec<Case>) {
        let framed = format!("content-length: {}\r\n", self.length());
        let mut add = |line: &str, expected| {
            Self::case(
                cases,
                format!("line {line:?}"),
                expected,
                self.whole(line, "host: gateway.test\r\n", &framed, self.body()),
            );
        };
        for line in [
            "POST /v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions?a=b HTTP/1.1",
            "POST http://gateway.test/v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions? HTTP/1.1",
            "POST /v1/chat/completions?a=%0d%0aX:%20y HTTP/1.1",
            "POST /v1/chat/completions?http://evil.example/ HTTP/1.1",
            "POST /v1/chat/completion%73 HTTP/1.1",
            "POST /v1%2fchat/completions HTTP/1.1",
            "POST /v1/chat%2Fcompletions HTTP/1.1",
            "POST //v1//chat//completions HTTP/1.1",
        ] {
            add(line, One);
        }
        for line in [
            "POST /v1/chat/../chat/completions HTTP/1.1",
            "POST /v1/./chat/completions HTTP/1.1",
            "POST /v1/chat/completions/..;/ HTTP/1.1",
            "POST /v1/chat/completions/%2e%2e/completions HTTP/1.1",
            "POST /v1/chat/completions%00 HTTP/1.1",
            "POST /v1/chat/completions%0d%0a HTTP/1.1",
            "POST /v1/chat/completions;a=b HTTP/1.1",
            "POST /v1/chat/completions\\ HTTP/1.1",
            "POST /v1\\chat\\completions HTTP/1.1",
            "POST / HTTP/1.1",
            "post /v1/chat/completions HTTP/1.1",
            "GPOST /v1/chat/completions HTTP/1.1",
            "GET /v1/chat/completions HTTP/1.1",
            "POST /V1/CHAT/COMPLETIONS HTTP/1.1",
            "TRACE /v1/chat/completions HTTP/1.1",
            "POST /%76%31/../v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions%ff HTTP/1.1",
            "POST /v1/chat/completions%2 HTTP/1.1",
            "POST /v1/chat/completions%zz HTTP/1.1",
        ] {
            add(line, Denied);
        }
        for line in [
            "POST  /v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions  HTTP/1.1",
            " POST /v1/chat/completions HTTP/1.1",
            "POST\t/v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions\tHTTP/1.1",
            "POST /v1/chat/completions HTTP/1.1 ",
            "POST /v1/chat/completions HTTP/1.1\t",
            "POST /v1/chat/completions HTTP/1.2",
            "POST /v1/chat/completions HTTP/2.0",
            "POST /v1/chat/completions HTTP/0.9",
            "POST /v1/chat/completions HTTP/11",
            "POST /v1/chat/completions http/1.1",
            "POST /v1/chat/completions HTTP/1.10",
            "POST /v1/chat/completions HTTP /1.1",
            "POST /v1/chat/completions",
            "POST",
            "POST ",
            "/v1/chat/completions HTTP/1.1",
            "P(ST /v1/chat/completions HTTP/1.1",
            "POST:/v1/chat/completions HTTP/1.1",
            "PO\0ST /v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions\0 HTTP/1.1",
            "POST /v1/chat/completions#a HTTP/1.1",
            "POST /v1/chat/completions?a#b HTTP/1.1",
            "POST /v1/chat/completions\u{e4} HTTP/1.1",
            "POST /v1/chat/completions\x7f HTTP/1.1",
            "POST http://evil.example/v1/chat/completions HTTP/1.1",
            "POST http://gateway.test@evil.example/v1/chat/completions HTTP/1.1",
            "POST http:///v1/chat/completions HTTP/1.1",
            "POST http:/\\gateway.test/v1/chat/completions HTTP/1.1",
            "POST /v1/chat/completions\rX HTTP/1.1",
            "POST /v1/chat/completions HTTP/1.1\rX: y",
            "POST /v1/chat/completions HTTP/1.1\nX: y",
        ] {
            add(line, Refused);
        }
    }

    pub(crate) fn hosts(&self, cases: &mut Vec<Case>) {
        let framed = format!("content-length: {}\r\n", self.length());
        let mut add = |host: &str, expected| {
            Self::case(
                cases,
                format!("host {host:?}"),
                expected,
                self.whole("POST /v1/chat/completions HTTP/1.1", host, &framed, self.body()),
            );
        };
        for host in ["host: evil.example\r\n", "HOST: 127.0.0.1:1\r\n", "host: [::1]:80\r\n"] {
            add(host, One);
        }
        for host in [
            "",
            "host: a\r\nhost: a\r\n",
            "host: a\r\nHost: b\r\n",
            "host: user@a\r\n",
            "host : a\r\n",
            " host: a\r\n",
            "host\t: a\r\n",
            "host: a\0b\r\n",
            "host: a\r\n b\r\n",
            "h\0st: a\r\nhost: a\r\n",
            "host: a\nx: y\r\n",
            "host: a\rx: y\r\n",
        ] {
            add(host, Refused);
        }
        for (host, expected) in [("", One), ("host: a\r\n", One), ("host: a\r\nhost: b\r\n", Refused)] {
            let old = self.whole("POST /v1/chat/completions HTTP/1.0", host, &framed, self.body());
            Self::case(cases, format!("HTTP/1.0, host {host:?}"), expected, old);
        }
    }

    pub(crate) fn fields(&self, cases: &mut Vec<Case>) {
        let n = self.length();
        let mut add = |lines: &[u8], expected| {
            let framed = [lines, format!("content-length: {n}\r\n").as_bytes()].concat();
            Self::case(cases, format!("fields {}", text(lines)), expected, self.with(framed, self.body()));
        };
        for lines in [
            &b"content_length: 0\r\n"[..],
            b"transfer_encoding: chunked\r\n",
            b"x-content-length: 0\r\n",
            b"x: \xe4\xff\r\n",
            b"x:\r\n",
            b"x:y\r\n",
            b"x:  y  \r\n",
            b"!#$%&'*+-.^_`|~: y\r\n",
            b"content-length-: 0\r\n",
            b"x: content-length: 0\r\n",
            b"x: a\tb\r\n",
            b"connection: content-length\r\n",
            b"connection: transfer-encoding\r\n",
            b"connection: close\r\n",
            b"connection: keep-alive, close\r\n",
            b"te: trailers, deflate\r\n",
            b"trailer: content-length\r\n",
            b"content-encoding: identity\r\n",
            b"expect: 100-continue\r\n",
            b"Expect: 100-Continue\r\n",
            b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n",
            b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAA\r\n",
            b"max-forwards: 0\r\n",
            b"x-http-method-override: DELETE\r\n",
        ] {
            add(lines, One);
        }
        for lines in [
            &b"x\r\n"[..],
            b": y\r\n",
            b"x y: z\r\n",
            b"x : y\r\n",
            b"x\t: y\r\n",
            b"x: a\r\n b\r\n",
            b"x: a\r\n\tb\r\n",
            b"x: a\0\r\n",
            b"x: a\rb\r\n",
            b"x: a\nb: c\r\n",
            b"x\0: y\r\n",
            b"\xc3\xa4: y\r\n",
            b"x: a\x7f\r\n",
            b"x: \x01\r\n",
            b"expect: 200-ok\r\n",
            b"expect: \r\n",
            b"expect: 100-continue, x\r\n",
            b"expect: 100-continue\r\nexpect: 100-continue\r\n",
            b"x: a\r\r\n",
            b"\x0bx: a\r\n",
            b"x: a\x0b\r\n",
            b"\r\r\n",
        ] {
            add(lines, Refused);
        }
        let many: String = (0..120).map(|number| format!("x-{number}: y\r\n")).collect();
        add(many.as_bytes(), Refused);
        add(format!("x: {}\r\n", "y".repeat(70_000)).as_bytes(), Refused);
    }

    pub(crate) fn other_protocols(&self, cases: &mut Vec<Case>) {
        let raw = [
            ("CONNECT", Refused, "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n"),
            ("CONNECT with a path", Refused, "CONNECT /v1/models HTTP/1.1\r\nhost: a\r\n\r\n"),
            ("CONNECT without a port", Refused, "CONNECT evil.example HTTP/1.1\r\nhost: evil.example\r\n\r\n"),
            ("CONNECT, two hosts", Refused, "CONNECT evil.example:443 HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"),
            ("OPTIONS *", Denied, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
            ("HTTP/0.9", Refused, "GET /v1/models\r\n\r\n"),
            ("HTTP/0.9 with LF", Refused, "GET /v1/models\n\n"),
            (
                "a TLS hello",
                Refused,
                "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03 and more of it that is no HTTP\r\n\r\n",
            ),
            ("SSH", Refused, "SSH-2.0-OpenSSH_9.0\r\n\r\n\r\n\r\n"),
            ("SMTP", Refused, "EHLO evil.example\r\nMAIL FROM:<a@b>\r\n\r\n"),
            ("an answer", Refused, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            ("LF alone", Refused, "GET /v1/models HTTP/1.1\nhost: a\n\n"),
            ("CR alone", Refused, "GET /v1/models HTTP/1.1\rhost: a\r\r and what follows\r\n\r\n"),
            ("PRI of another version", Refused, "PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n"),
            ("PRIX", Denied, "PRIX /v1/models HTTP/1.1\r\nhost: a\r\n\r\n"),
            ("half a preface", Cut, "PRI * HTTP/2.0\r\n"),
            ("a head that does not end", Cut, "GET /v1/models HTTP/1.1\r\nhost: a\r\n"),
            ("two bytes", Cut, "GE"),
        ];
        for (name, expected, bytes) in raw {
            Self::case(cases, name, expected, bytes.as_bytes().to_vec());
        }
    }

    /// A second request behind the first, or in it.
    pub(crate) fn pipelines(&self, cases: &mut Vec<Case>) {
        let (n, poison) = (self.length(), self.poison());
        let whole = self.with(format!("content-length: {n}\r\n"), self.body());
        let chunked = self.with("transfer-encoding: chunked\r\n", self.chunked());
        for (name, first) in [("a length", &whole), ("chunks", &chunked)] {
            for (behind, second) in [
                ("a request", &poison[..]),
                ("garbage", b"\0\0\0"),
                ("an empty line", b"\r\n"),
                ("half a request", &poison[..40]),
            ] {
                Self::case(cases, format!("{name} and {behind}"), One, [&first[..], second].concat());
            }
        }
        let within = [self.body().as_bytes(), &poison].concat();
        Self::case(
            cases,
            "a request in a body",
            Denied,
            self.with(format!("content-length: {}\r\n", within.len()), within),
        );
        let empty_line = [b"\r\n".as_slice(), &whole].concat();
        Self::case(cases, "an empty line before", One, empty_line);
        Self::case(cases, "LF before", Refused, [b"\n".as_slice(), &whole].concat());
        let get =
            format!("GET /v1/models HTTP/1.1\r\nhost: a\r\n{}content-length: {}\r\n\r\n", self.common(), poison.len());
        Self::case(
            cases,
            "a request in the body of a GET",
            Denied,
            [get.replace("/v1/models", "/v1/models/none").as_bytes(), &poison].concat(),
        );
    }
}
