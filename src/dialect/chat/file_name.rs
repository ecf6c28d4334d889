//! What a file is called that came without a name: OpenAI wants one, and goes by its ending.

/// By media type. What is none of these is taken for what most files are.
const NAMES: [(&str, &str); 8] = [
    ("text/plain", "document.txt"),
    ("text/csv", "document.csv"),
    ("text/markdown", "document.md"),
    ("text/html", "document.html"),
    ("text/xml", "document.xml"),
    ("application/xml", "document.xml"),
    ("application/json", "document.json"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document.docx"),
];

/// A name for a document of this type.
pub(super) fn document_name(mime_type: &str) -> &'static str {
    let mime_type = mime_type.split(';').next().unwrap_or_default().trim();
    let known = NAMES.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(mime_type));
    known.map_or("document.pdf", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::document_name;

    #[test]
    fn a_name_says_no_other_type_than_the_data_have() {
        let names = ["application/pdf", "text/csv", "TEXT/plain; charset=utf-8", "", "x"].map(document_name);
        assert_eq!(names, ["document.pdf", "document.csv", "document.txt", "document.pdf", "document.pdf"]);
    }
}
