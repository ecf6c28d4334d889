use super::*;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::HeaderValue;

fn of(coding: &str) -> Packing {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
    Packing::of(&headers)
}

fn unpacker(coding: &str) -> Box<Unpacker> {
    match of(coding) {
        Packing::Known(unpacker) => unpacker,
        _ => panic!("{coding}"),
    }
}

/// The same in every coding, by its name.
fn packed(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let level = Compression::default();
    let mut gzip = GzEncoder::new(Vec::new(), level);
    let mut zlib = ZlibEncoder::new(Vec::new(), level);
    let mut bare = DeflateEncoder::new(Vec::new(), level);
    gzip.write_all(bytes).and(zlib.write_all(bytes)).and(bare.write_all(bytes)).unwrap();
    let (gzip, zlib, bare) = (gzip.finish().unwrap(), zlib.finish().unwrap(), bare.finish().unwrap());
    let mut br = Vec::new();
    brotli::BrotliCompress(&mut &bytes[..], &mut br, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    let zstd = zstd::encode_all(bytes, 3).unwrap();
    vec![("gzip", gzip.clone()), ("X-GZIP", gzip), ("deflate", zlib), ("deflate", bare), ("br", br), ("zstd", zstd)]
}

fn text() -> Vec<u8> {
    (0..4000)
        .flat_map(|number: u32| format!("data: {{\"n\":{}}}\n\n", number.wrapping_mul(2_654_435_761)).into_bytes())
        .collect()
}

#[test]
fn what_was_packed_comes_out_however_it_is_cut() {
    let text = text();
    for (coding, packed) in packed(&text) {
        for size in [1, 7, 1000, packed.len()] {
            let mut unpacker = unpacker(coding);
            let pieces: Vec<_> = packed.chunks(size).map(|piece| unpacker.push(piece).unwrap()).collect();
            assert_eq!(pieces.concat(), text, "{coding}, {size} bytes at once");
        }
    }
}

#[test]
fn a_piece_that_was_flushed_comes_out_at_once() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(b"data: 1\n\n").and(gzip.flush()).unwrap();
    assert_eq!(unpacker("gzip").push(gzip.get_ref()).unwrap(), "data: 1\n\n");
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    zstd.write_all(b"data: 1\n\n").and(zstd.flush()).unwrap();
    assert_eq!(unpacker("zstd").push(zstd.get_ref()).unwrap(), "data: 1\n\n");
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    for (coding, packed) in packed(&vec![b' '; 64 * 1024 * 1024]) {
        let mut unpacker = unpacker(coding);
        let mut unpacked = 0;
        let error = packed.chunks(1024).find_map(|piece| match unpacker.push(piece) {
            Ok(bytes) => {
                unpacked += bytes.len() as u64;
                None
            }
            Err(error) => Some(error.message),
        });
        assert!(error.is_some_and(|error| error.contains("far more")), "{coding}");
        assert!(unpacked <= UNPACKED_BYTES_FREE.max(packed.len() as u64 * RATIO_MAX), "{coding}: {unpacked}");
    }
}

#[test]
fn what_is_no_such_coding_is_an_error() {
    for coding in ["gzip", "deflate", "zstd"] {
        let mut unpacker = unpacker(coding);
        assert!(unpacker.push(&[0xFF; 4096]).is_err(), "{coding}");
    }
    // It looks like brotli for a while.
    let mut unpacker = unpacker("br");
    assert!((0..64).any(|_| unpacker.push(&[0xFF; 4096]).is_err()));
}

#[test]
fn codings_are_known_by_name_one_at_a_time() {
    assert!(matches!(Packing::of(&HeaderMap::new()), Packing::Plain));
    assert!(matches!((of("identity"), of("")), (Packing::Plain, Packing::Plain)));
    assert!(matches!((of("compress"), of("gzip, gzip")), (Packing::Unknown, Packing::Unknown)));
    let mut twice = HeaderMap::new();
    twice.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    twice.append(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    assert!(matches!(Packing::of(&twice), Packing::Unknown));
}
