//! An issuer of tokens, with the keys of RFC 7515's examples (appendix A): published, so nobody's secret.

use crate::algorithm::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256};
use ring::{hmac, signature};
use serde_json::{Value, json};

pub(super) const ISSUER: &str = "https://login.example";
pub(super) const AUDIENCE: &str = "tollgate";
pub(super) const SECRET: &str = "a secret of 32 bytes or some more";

pub(super) const MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
const P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
const Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
const DP: &str = "BwKfV3Akq5_MFZDFZCnW-wzl-CCo83WoZvnLQwCTeDv8uzluRSnm71I3QCLdhrqE2e9YkxvuxdBfpT_PI7Yz-FOKnu1R6HsJeDCjn12Sk3vmAktV2zb34MCdy7cpdTh_YVr7tss2u6vneTwrA86rZtu5Mbr1C1XsmvkxHQAdYo0";
const DQ: &str = "h_96-mK1R_7glhsum81dZxjTnYynPbZpHziZjeeHcXYsXaaMwkOlODsWa7I9xXDoRwbKgB719rrmI2oKr6N3Do9U0ajaHF-NKJnwgjMd2w9cjz3_-kyNlxAr2v4IKhGNpmM5iIgOS1VZnOZ68m6_pbLBSp3nssTdlqvd0tIiTHU";
const QI: &str = "IYd7DHOhrWvxkwPQsRM2tOgrjbcrfvtQJipd-DlcxyVuuM9sQLdgjVk2oy26F0EmpScGLq2MowX7fhd_QJQ3ydy5cY7YIBi87w93IKLEdfnbJtoOPLUW0ITrJReOgo1cq9SbsxYawBgfp_gh6A5603k2-ZQwVK0JKSHuLFkuQ3U";
pub(super) const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
pub(super) const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const EC_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
const RFC_SECRET: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";

const RFC_PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// The examples A.1 to A.3: header and signature.
const RFC_TOKENS: [(Algorithm, &str, &str); 3] = [
    (Algorithm::Hs256, "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    (
        Algorithm::Rs256,
        "eyJhbGciOiJSUzI1NiJ9",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    (
        Algorithm::Es256,
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
];

pub(super) fn signed_in_1300819380() -> Vec<(Algorithm, String)> {
    let whole = |(algorithm, header, signature)| (algorithm, format!("{header}.{RFC_PAYLOAD}.{signature}"));
    RFC_TOKENS.into_iter().map(whole).collect()
}

pub(super) fn rfc_secret() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &bytes(RFC_SECRET))
}

pub(super) fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(super) fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a sound token claims.
pub(super) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "exp": super::NOW_S + 3600})
}

pub(super) struct Issuer {
    rsa: RsaKeyPair,
    ec: EcdsaKeyPair,
    random: SystemRandom,
}

impl Issuer {
    pub(super) fn new() -> Self {
        let public_key = PublicKeyComponents { n: bytes(MODULUS), e: bytes("AQAB") };
        let (d, p, q) = (bytes(D), bytes(P), bytes(Q));
        let components = KeyPairComponents { public_key, d, p, q, dP: bytes(DP), dQ: bytes(DQ), qInv: bytes(QI) };
        let rsa = RsaKeyPair::from_components(&components).unwrap();
        let random = SystemRandom::new();
        let point = [&[4][..], &bytes(X), &bytes(Y)].concat();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &bytes(EC_D), &point, &random).unwrap();
        Self { rsa, ec, random }
    }

    /// Another one, with a P-256 key of its own.
    pub(super) fn stranger() -> Self {
        let own = Self::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &own.random).unwrap();
        Self { ec: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &own.random).unwrap(), ..own }
    }

    /// Its P-256 key, public.
    pub(super) fn ec_jwk(&self) -> Value {
        let point = signature::KeyPair::public_key(&self.ec).as_ref();
        json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])})
    }

    /// Both keys, among others that are of no use here.
    pub(super) fn key_set(&self) -> Value {
        let mut ec = self.ec_jwk();
        ec["kid"] = json!("ec");
        json!({"keys": [
            {"kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "key_ops": ["verify"], "n": MODULUS, "e": "AQAB"},
            ec,
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": MODULUS, "e": "AQAB"},
            {"kty": "RSA", "kid": "ps", "alg": "PS256", "n": MODULUS, "e": "AQAB"},
            {"kty": "RSA", "kid": "short", "n": "AQAB", "e": "AQAB"},
            {"kty": "oct", "kid": "shared", "k": "AAAA"},
            7,
        ]})
    }

    /// A token with this header and payload, signed by this algorithm whatever they say.
    pub(super) fn signed(&self, algorithm: &str, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", text(header), text(payload));
        let signature = self.signature(algorithm, signed.as_bytes());
        format!("{signed}.{}", text(signature))
    }

    pub(super) fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match algorithm {
            "HS256" => hmac_by(SECRET.as_bytes(), message),
            "RS256" => {
                let mut signature = vec![0; self.rsa.public().modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature).unwrap();
                signature
            }
            "ES256" => self.ec.sign(&self.random, message).unwrap().as_ref().to_vec(),
            other => panic!("{other}"),
        }
    }

    /// A token as it should be.
    pub(super) fn token(&self, algorithm: &str, claims: &Value) -> String {
        let header = match algorithm {
            "HS256" => json!({"alg": algorithm}),
            "RS256" => json!({"alg": algorithm, "kid": "rsa"}),
            _ => json!({"alg": algorithm, "kid": "ec"}),
        };
        self.signed(algorithm, &header.to_string(), &claims.to_string())
    }
}

pub(super) fn hmac_by(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}
