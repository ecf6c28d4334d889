use super::*;
use http::{HeaderMap, Method};
use tollgate_plugin_doubles::at_once;

fn plugin(table: &str) -> Result<Arc<dyn Plugin>, Mistakes> {
    build(table.parse().unwrap(), &Ports::to_nothing())
}

/// The code of the refusal; none: let in.
fn refused(plugin: &dyn Plugin, client: Option<&str>) -> Option<RejectCode> {
    let client = client.map(|client| client.parse().unwrap());
    let headers = HeaderMap::new();
    let mut head =
        RequestHead { method: &Method::POST, path: "/v1/x", query: None, headers: &headers, client, key: None };
    match at_once(plugin.request_filter(&mut head)) {
        Ok(Flow::Continue) => None,
        Err(reject) => Some(reject.code),
        other => panic!("it lets in or refuses: {other:?}"),
    }
}

#[test]
fn callers_from_the_networks_are_let_in_and_nobody_else() {
    let plugin = plugin("networks = ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']").unwrap();
    for (client, let_in) in [
        (Some("10.255.0.1"), true),
        (Some("::ffff:10.1.2.3"), true),
        (Some("192.0.2.7"), true),
        (Some("2001:db8:1::1"), true),
        (Some("11.0.0.1"), false),
        (Some("192.0.2.8"), false),
        (Some("2001:db9::1"), false),
        (Some("::1"), false),
        (None, false),
    ] {
        let expected = (!let_in).then_some(RejectCode::Forbidden);
        assert_eq!(refused(&*plugin, client), expected, "{client:?}");
    }
}

#[test]
fn mistakes_in_the_table_are_named() {
    let many = format!("networks = [{}]", "'10.0.0.0/8',".repeat(NETWORKS_MAX + 1));
    for (table, word) in [
        ("", "networks"),
        ("networks = []", "at least one"),
        ("network = ['10.0.0.0/8']", "network"),
        ("networks = '10.0.0.0/8'", "put it in brackets"),
        ("networks = ['10.0.0.0/8', '10.0.0.0/33']", "networks[1]: the prefix length"),
        ("networks = ['10.1.0.0/8']", "`10.0.0.0/8`"),
        ("networks = ['localhost']", "networks[0]: not an IP address"),
        (&many, "too many"),
    ] {
        let error = plugin(table).err().expect(table).to_string();
        assert!(error.contains(word), "{error}");
    }
}
