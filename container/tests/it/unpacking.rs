use std::{
    io::{Cursor, sink},
    time::{Duration, Instant},
};

use container::{Archive, Error, Kind, Limits, Refusal, Unpacked, unpack};

use crate::build::{CSV, LIMITS, gzip, xlsx, zeros, zip};

fn unpacked(kind: Kind, file: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    match unpack(kind, Cursor::new(file), LIMITS, &mut out) {
        Ok(Unpacked { bytes, .. }) => {
            assert_eq!(bytes, out.len() as u64);
            Ok(out)
        }
        Err(Error::Refused(refusal)) => Err(refusal),
        Err(Error::Io(error)) => panic!("{error}"),
    }
}

#[test]
fn gzip_of_one_and_of_many_members() {
    assert_eq!(unpacked(Kind::Gzip, &gzip(CSV)), Ok(CSV.to_vec()));
    let members = [gzip(CSV), gzip(b""), gzip(CSV)].concat();
    assert_eq!(unpacked(Kind::Gzip, &members), Ok(CSV.repeat(2)));
    let padded = [gzip(CSV), vec![0; 100_000]].concat();
    assert_eq!(unpacked(Kind::Gzip, &padded), Ok(CSV.to_vec()));
}

#[test]
fn damaged_gzip_is_refused() {
    let damaged = Err(Refusal::Damaged(Kind::Gzip));
    let file = gzip(&CSV.repeat(1000));
    for length in [2, 5, 12, 40, file.len() - 8, file.len() - 1] {
        assert_eq!(unpacked(Kind::Gzip, &file[..length]), damaged, "{length}");
    }
    let mut wrong_sum = file.clone();
    let at = file.len() - 8;
    wrong_sum[at] ^= 1;
    assert_eq!(unpacked(Kind::Gzip, &wrong_sum), damaged);
    assert_eq!(
        unpacked(Kind::Gzip, &[&file[..], b"more"].concat()),
        damaged
    );
    let second_cut = [&file[..], &file[..60]].concat();
    assert_eq!(unpacked(Kind::Gzip, &second_cut), damaged);
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let bomb = zeros(1024);
    let limits = Limits {
        max_ratio: u64::MAX,
        ..LIMITS
    };
    let start = Instant::now();
    let result = unpack(Kind::Gzip, Cursor::new(&bomb), limits, sink());
    assert!(
        matches!(
            result,
            Err(Error::Refused(Refusal::TooLargeUnpacked {
                max_bytes: 50_000_000
            }))
        ),
        "{result:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    // The ratio is checked first.
    let small = zeros(16);
    let ratio = Refusal::Ratio { max_ratio: 200 };
    assert_eq!(unpacked(Kind::Gzip, &small), Err(ratio.clone()));
    let text = vec![b'0'; 20 << 20];
    assert_eq!(unpacked(Kind::Zip, &zip(&[("a.csv", &text)])), Err(ratio));
}

#[test]
fn a_small_file_may_grow_more() {
    let text = CSV.repeat(20_000);
    assert!(text.len() > 200 * gzip(&text).len());
    assert_eq!(unpacked(Kind::Gzip, &gzip(&text)), Ok(text));
}

#[test]
fn sizes_in_headers_are_not_trusted() {
    // The directory claims 7 bytes.
    let text = CSV.repeat(3);
    let mut file = zip(&[("a.csv", &text)]);
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let places = Vec::from_iter((0..file.len() - 4).filter(|&at| file[at..at + 4] == length));
    assert_eq!(places.len(), 2);
    for at in places {
        file[at..at + 4].copy_from_slice(&7_u32.to_le_bytes());
    }
    match unpacked(Kind::Zip, &file) {
        Ok(out) => assert_eq!(out, text),
        Err(refusal) => assert_eq!(refusal, Refusal::Damaged(Kind::Zip)),
    }
}

#[test]
fn zip_of_one_file() {
    assert_eq!(
        unpacked(Kind::Zip, &zip(&[("a.csv", CSV)])),
        Ok(CSV.to_vec())
    );
    let extras: &[(&str, &[u8])] = &[
        ("export/", b""),
        ("__MACOSX/export/._a.csv", b"\0\x05\x16\x07"),
        ("export/.DS_Store", b"Bud1"),
        ("export/._a.csv", b"\0\x05\x16\x07"),
        ("export/__MACOSX/a.csv", b"\0\x05\x16\x07"),
        ("export\\~$a.csv", b"x"),
        ("export/a.csv", CSV),
        ("Thumbs.db", b"x"),
    ];
    assert_eq!(unpacked(Kind::Zip, &zip(extras)), Ok(CSV.to_vec()));
    let name = "../../../etc/passwd";
    assert_eq!(unpacked(Kind::Zip, &zip(&[(name, CSV)])), Ok(CSV.to_vec()));
}

#[test]
fn zips_that_are_refused() {
    assert_eq!(unpacked(Kind::Zip, &zip(&[])), Err(Refusal::NoFile));
    assert_eq!(
        unpacked(Kind::Zip, &zip(&[("a/", b"")])),
        Err(Refusal::NoFile)
    );
    let two = unpacked(Kind::Zip, &zip(&[("jan.csv", CSV), ("feb.csv", CSV)])).unwrap_err();
    assert_eq!(
        two.to_string(),
        "This zip archive contains several files, such as \"jan.csv\" and \"feb.csv\". Unpack it, and upload each file \
         on its own."
    );
    let file = zip(&[("a.csv", &CSV.repeat(50))]);
    for length in [4, 30, 60, file.len() - 1] {
        let cut = unpacked(Kind::Zip, &file[..length]);
        assert_eq!(cut, Err(Refusal::Damaged(Kind::Zip)), "{length}");
    }
    let pdf = unpacked(Kind::Zip, &zip(&[("a.csv", b"%PDF-1.4\n")]));
    assert_eq!(pdf, Err(Refusal::Kind(Kind::Pdf)));
}

#[test]
fn an_encrypted_zip_is_refused() {
    let mut file = zip(&[("a.csv", CSV)]);
    // Bit 0 of the flags, in the local header and in the directory
    let directory = file.windows(4).position(|bytes| bytes == b"PK\x01\x02");
    file[6] |= 1;
    file[directory.unwrap() + 8] |= 1;
    assert_eq!(
        unpacked(Kind::Zip, &file),
        Err(Refusal::Encrypted(Kind::Zip))
    );
}

#[test]
fn an_unknown_compression_is_refused() {
    let mut file = zip(&[("a.csv", CSV)]);
    let directory = file.windows(4).position(|bytes| bytes == b"PK\x01\x02");
    // Method 12 is bzip2.
    file[8] = 12;
    file[directory.unwrap() + 10] = 12;
    assert_eq!(unpacked(Kind::Zip, &file), Err(Refusal::Compression));
}

#[test]
fn archives_in_archives_are_refused() {
    let nested = |kind| Err(Refusal::Nested(kind));
    let inner = gzip(CSV);
    assert_eq!(unpacked(Kind::Gzip, &gzip(&inner)), nested(Kind::Gzip));
    assert_eq!(
        unpacked(Kind::Zip, &zip(&[("a.gz", &inner)])),
        nested(Kind::Gzip)
    );
    let mut tar = vec![0; 1024];
    tar[257..263].copy_from_slice(b"ustar\0");
    let tar = unpacked(Kind::Gzip, &gzip(&tar));
    assert_eq!(tar, nested(Kind::Archive(Archive::Tar)));
    // It might be a workbook. `run` examines it again.
    let workbook = xlsx(&[""]);
    assert_eq!(unpacked(Kind::Gzip, &gzip(&workbook)), Ok(workbook));
}
