//! Who has the wallet gets in, once for each nonce, and nobody else does.

mod configurations;
mod forged;
mod wallet;

use super::*;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Value, json};
use tollgate_plugin_api::Key;
use tollgate_plugin_doubles::{Hands, Ring, at_once, key};
use wallet::Wallet;

/// What the clock shows at first.
const NOW_MS: i64 = 1_800_000_000_000;
const SECRET: &str = "another secret of 32 bytes or more";

/// A plugin and its clock.
struct Stage {
    plugin: Arc<dyn Plugin>,
    clock: Arc<Hands>,
    ports: Ports,
}

/// Wallet number 1 is `ann`'s; 2 is nobody's; 3's key is disabled; 4's is gone.
fn table() -> String {
    let wallets: Vec<String> = [(1, "ann"), (3, "off"), (4, "gone"), (5, "bob")]
        .map(|(number, name)| format!("\"{}\" = \"{name}\"", Wallet::new(number).address()))
        .into();
    format!(
        "domain = \"app.example\"\nuri = \"https://app.example/login\"\nchain_ids = [1, 137]\nsecret = {SECRET:?}\n\
         session_s = 600\nwallets = {{ {} }}\n",
        wallets.join(", ")
    )
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(Hands::at(NOW_MS));
        let keys = Arc::new(Ring::named([key("ann"), key("bob"), Key { enabled: false, ..key("off") }]));
        let ports = Ports { keys, clock: clock.clone(), ..Ports::to_nothing() };
        Self { plugin: build(table().parse().unwrap(), &ports).unwrap(), clock, ports }
    }

    /// The same process with another configuration.
    fn reloaded(&self, table: &str) -> Self {
        let plugin = build(table.parse().unwrap(), &self.ports).unwrap();
        Self { plugin, clock: self.clock.clone(), ports: self.ports.clone() }
    }

    fn pass_ms(&self, ms: i64) {
        self.clock.pass_ms(ms);
    }

    /// What is answered to a POST to one of the pages.
    fn post(&self, path: &str, body: &str) -> Result<Value, Reject> {
        let headers = HeaderMap::new();
        let mut head =
            RequestHead { method: &Method::POST, path, query: None, headers: &headers, client: None, key: None };
        match at_once(self.plugin.request_filter(&mut head))? {
            Flow::TakeBody { bytes_max } => assert_eq!(bytes_max, BODY_BYTES_MAX),
            other => panic!("{other:?}"),
        }
        let reply = at_once(self.plugin.answer(&head, body.as_bytes()))?;
        assert_eq!(reply.status, StatusCode::OK);
        assert!(reply.headers.iter().any(|(name, value)| *name == header::CACHE_CONTROL && value == "no-store"));
        Ok(serde_json::from_slice(&reply.body).unwrap())
    }

    fn nonce(&self) -> String {
        self.post(NONCE_PATH, "").unwrap()["nonce"].as_str().unwrap().to_owned()
    }

    fn verify(&self, message: &str, signature: &str) -> Result<Value, Reject> {
        self.post(VERIFY_PATH, &json!({"message": message, "signature": signature}).to_string())
    }

    /// A message as it should be, line by line.
    fn lines(&self, wallet: &Wallet) -> Vec<String> {
        let issued_at = rfc3339(self.clock.now_ms());
        [
            "app.example wants you to sign in with your Ethereum account:",
            &wallet.address(),
            "",
            "I accept the terms: https://app.example/tos",
            "",
            "URI: https://app.example/login",
            "Version: 1",
            "Chain ID: 1",
            &format!("Nonce: {}", self.nonce()),
            &format!("Issued At: {issued_at}"),
        ]
        .map(str::to_owned)
        .into()
    }

    fn log_in(&self, wallet: &Wallet) -> Result<Value, Reject> {
        let message = self.lines(wallet).join("\n");
        self.verify(&message, &wallet.sign(&message))
    }

    /// As which key a request with this credential goes on.
    fn caller(&self, credential: &str) -> Result<Option<String>, RejectCode> {
        let value = HeaderValue::from_str(credential).unwrap();
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-api-key"), value)]);
        let path = "/v1/messages";
        let mut head =
            RequestHead { method: &Method::POST, path, query: None, headers: &headers, client: None, key: None };
        let flow = at_once(self.plugin.request_filter(&mut head)).map_err(|reject| reject.code)?;
        assert!(matches!(flow, Flow::Continue));
        Ok(head.key.map(|handle| handle.key().name.to_string()))
    }
}

fn token(answer: &Value) -> String {
    answer["token"].as_str().unwrap().to_owned()
}

#[test]
fn a_wallet_logs_in_and_calls_as_its_key_until_the_session_ends() {
    let stage = Stage::new();
    let answer = stage.log_in(&Wallet::new(1)).unwrap();
    assert_eq!(answer["expires_at"], rfc3339(NOW_MS + 600_000), "session_s");
    let token = token(&answer);
    assert!(token.starts_with("sk-tgw-"), "{token}");
    assert_eq!(stage.caller(&token), Ok(Some("ann".to_owned())));
    stage.pass_ms(599_999);
    assert_eq!(stage.caller(&token), Ok(Some("ann".to_owned())));
    stage.pass_ms(1);
    assert_eq!(stage.caller(&token), Err(RejectCode::TokenExpired));
    assert_eq!(stage.caller("sk-tg-0123456789abcdef"), Ok(None), "`auth-key` judges it");
}

#[test]
fn all_that_a_message_may_say_is_taken() {
    let (stage, wallet) = (Stage::new(), Wallet::new(1));
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = stage.lines(&wallet);
        change(&mut lines);
        let message = lines.join("\n");
        stage.verify(&message, &wallet.sign(&message)).unwrap_or_else(|reject| panic!("{reject:?}\n{message}"))
    };
    let at = |ms: i64| rfc3339(NOW_MS + ms);
    with(&|lines| lines[0] = format!("https://{}", lines[0]));
    // No statement: its line is not there, the empty ones are.
    with(&|lines| drop(lines.remove(3)));
    with(&|lines| lines[5] = "URI: https://app.example/login/x?y=%20z#w".to_owned());
    with(&|lines| lines[7] = "Chain ID: 137".to_owned());
    with(&|lines| lines[9] = format!("Issued At: {}", at(59_000)));
    with(&|lines| lines[9] = format!("Issued At: {}", at(-359_000)));
    with(&|lines| lines[9] = "Issued At: 2027-01-15T09:00:00.123456789+01:00".to_owned());
    with(&|lines| lines.push(format!("Not Before: {}", at(59_000))));
    with(&|lines| lines.push("Request ID: ".to_owned()));
    with(&|lines| lines.push("Resources:".to_owned()));
    let whole = with(&|lines| {
        lines.push(format!("Expiration Time: {}", at(30_000)));
        lines.push(format!("Not Before: {}", at(0)));
        lines.push("Request ID: a:b@c%41".to_owned());
        lines.extend(
            ["Resources:", "- ipfs://Qme7ss3ARVgxv6rXqVPiikMJ8u2NLgmgszg13pYrDKEoiu", "- https://a/"]
                .map(str::to_owned),
        );
    });
    assert_eq!(whole["expires_at"], at(30_000), "a session outlives no message");
}

const SIGNED: [(&str, &str, &str, &str, &str); 4] = [
    (
        "login.xyz",
        "0x9D85ca56217D2bb651b00f15e694EB7E713637D4",
        "Sign-In With Ethereum Example Statement",
        "URI: https://login.xyz; Version: 1; Chain ID: 1; Nonce: bTyXgcQxn2htgkjJn; \
         Issued At: 2022-01-27T17:09:38.578Z; Expiration Time: 2100-01-07T14:31:43.952Z",
        "0xdc35c7f8ba2720df052e0092556456127f00f7707eaa8e3bbff7e56774e7f2e0\
         5a093cfc9e02964c33d86e8e066e221b7d153d27e5a2e97ccd5ca7d3f2ce06cb1b",
    ),
    (
        "login.xyz",
        "0xE6D3Aa1F561A215E5eb1f02Ba8705385F03fCaFB",
        "Sign-In With Ethereum Example Statement",
        "URI: https://login.xyz; Version: 1; Chain ID: 1; Nonce: lx2nx4so; \
         Issued At: 2022-01-05T14:27:30.883Z; Not Before: 2100-01-07T14:31:43.952Z",
        "0xc2539ace78f13c7eb8c0852d38d269a6f97bebd9f7872097d2e3137b541f8bf5\
         0176062a46eeea83086bd2721423fb5755a932ff6ccc046ed482d14e4576042f1c",
    ),
    (
        "login.xyz",
        "0x2ecA0068307e706741445764A3D6A4402aC2A5a9",
        "Sign-In With Ethereum Example Statement",
        "URI: https://login.xyz; Version: 1; Chain ID: 1; Nonce: lx2nx4so; \
         Issued At: 2022-01-05T14:27:30.883Z; Expiration Time: 2021-01-05T00:00:00Z",
        "0x7337bc2826c7678cd6bc84f5b3b236efc969b0451f9feca2328b1d3401b030c1\
         13f19bdba359ba3f52762c66e9147311fa95fe598a1a4ec9bb383a7b4e3874241b",
    ),
    (
        "www.tally.xyz",
        "0xc95EB884FE852e241D409234bfC7045CB9E31BD7",
        "Sign in with Ethereum to Tally",
        "URI: https://tally.xyz; Version: 1; Chain ID: 1; Nonce: 15050747; Issued At: 2022-06-30T14:08:51.382Z",
        "0x8c46b6eb8505939892d8e9b075f89f8277321b17b993151f37810cdda38cce6f\
         4a85909d2b53e6a14629c74c0ac38bf4becde78ee5b2529812bf6cceaf7b2a2501",
    ),
];

#[test]
fn the_examples_of_the_standards_are_read_as_they_are_meant() {
    let example = "service.org wants you to sign in with your Ethereum account:\n\
        0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2\n\n\
        I accept the ServiceOrg Terms of Service: https://service.org/tos\n\n\
        URI: https://service.org/login\nVersion: 1\nChain ID: 1\nNonce: 32891756\nIssued At: 2021-09-30T16:25:24Z\n\
        Resources:\n- ipfs://bafybeiemxf5abjwjbikoz4mc3a3dla6ual3jsgpdr4cjr3oz3evfyavhwq/\n\
        - https://example.com/my-web2-claim.json";
    let read = Message::read(example).unwrap();
    assert_eq!(
        (read.domain, read.uri, read.chain_id, read.nonce),
        ("service.org", "https://service.org/login", 1, "32891756")
    );
    assert_eq!(read.issued_at_ms, 1_633_019_124_000);
    // Signed messages of the reference implementation's tests (siwe, `verification_positive.json`).
    for (domain, address, statement, times, signature) in SIGNED {
        let message = format!(
            "{domain} wants you to sign in with your Ethereum account:\n{address}\n\n{statement}\n\n{}\n",
            times.replace("; ", "\n")
        );
        let message = message.trim_end();
        let address = Message::read(message).unwrap().address;
        assert_eq!(signature::signer(message, signature), Some(address), "{message}");
        assert_eq!(signature::signer(&format!("{message} "), signature).filter(|other| *other == address), None);
    }
    // EIP-55's.
    for text in [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ] {
        assert_eq!(address::Address::read(text).unwrap().text(), text);
    }
}

#[test]
fn of_many_who_come_with_one_nonce_one_gets_in() {
    let (stage, wallet) = (Stage::new(), Wallet::new(1));
    for _ in 0..20 {
        let message = stage.lines(&wallet).join("\n");
        let signature = wallet.sign(&message);
        let verdicts: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| stage.verify(&message, &signature).is_ok())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(verdicts.iter().filter(|is_in| **is_in).count(), 1);
        let again = stage.verify(&message, &signature).unwrap_err();
        assert_eq!((again.code, again.message.as_deref()), (RejectCode::AuthInvalidToken, Some("The nonce was used")));
        stage.pass_ms(60_000);
    }
}

#[test]
fn a_reload_forgets_no_nonce_and_a_wallet_that_is_taken_out_is_out() {
    let (stage, wallet) = (Stage::new(), Wallet::new(1));
    let message = stage.lines(&wallet).join("\n");
    let session = token(&stage.verify(&message, &wallet.sign(&message)).unwrap());
    let later = stage.lines(&wallet).join("\n");
    let reloaded = stage.reloaded(&table());
    assert!(reloaded.verify(&message, &wallet.sign(&message)).is_err(), "used before");
    assert!(reloaded.verify(&later, &wallet.sign(&later)).is_ok(), "given before");
    assert_eq!(reloaded.caller(&session), Ok(Some("ann".to_owned())));
    let without = stage.reloaded(&table().replace(&format!("\"{}\" = \"ann\",", wallet.address()), ""));
    assert_eq!(without.caller(&session), Err(RejectCode::AuthInvalidToken));
    assert_eq!(without.log_in(&wallet).unwrap_err().code, RejectCode::Forbidden);
    let secret = stage.reloaded(&table().replace(SECRET, "a third secret of at least 32 bytes"));
    assert_eq!(secret.caller(&session), Err(RejectCode::AuthInvalidToken));
    // A restart knows the sessions, and nobody's nonce.
    let restarted = Stage::new();
    assert_eq!(restarted.caller(&session), Ok(Some("ann".to_owned())));
    let other = stage.lines(&wallet).join("\n");
    assert!(restarted.verify(&other, &wallet.sign(&other)).is_err());
}

#[test]
fn one_wallet_cannot_fill_what_is_kept_and_keeps_nobody_else_out() {
    let (stage, wallet) = (Stage::new(), Wallet::new(1));
    let mut count = 0;
    let refused = loop {
        match stage.log_in(&wallet) {
            Ok(_) => count += 1,
            Err(reject) => break reject,
        }
    };
    assert_eq!((count, refused.code, refused.retry_after_s), (64, RejectCode::RateLimitExceeded, Some(301)));
    assert!(stage.log_in(&Wallet::new(5)).is_ok());
    stage.pass_ms(300_000);
    assert!(stage.log_in(&wallet).is_ok());
}
