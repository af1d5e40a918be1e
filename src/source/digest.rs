//! What files hold, in one number.

use super::SourceFile;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// SHA-256 (FIPS 180-4) of bytes, given in parts, in lower-case hexadecimal.
pub fn sha256<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    parts.into_iter().for_each(|p| hash.update(p));
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// The SHA-256 of files one after another, worked out when somebody first asks for it: of a large dump it takes longer than many a check,
/// and most reports do not tell it. Of no file: empty.
#[derive(Clone, Default)]
pub struct Digest {
    told: OnceLock<String>,
    files: Vec<Arc<SourceFile>>,
}

impl Digest {
    /// Of a file.
    pub fn of(file: &Arc<SourceFile>) -> Self {
        Self::of_all(std::slice::from_ref(file))
    }

    /// Of files one after another.
    pub fn of_all(files: &[Arc<SourceFile>]) -> Self {
        Self { told: OnceLock::new(), files: files.to_vec() }
    }

    /// The digest, in lower-case hexadecimal.
    pub fn as_str(&self) -> &str {
        self.told.get_or_init(|| match self.files.is_empty() {
            true => String::new(),
            false => sha256(self.files.iter().map(|f| f.bytes())),
        })
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl From<String> for Digest {
    fn from(told: String) -> Self {
        Self { told: told.into(), files: Vec::new() }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.as_str())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_told_when_asked_for() {
        // The example of FIPS 180-4's test data.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Digest::of(&SourceFile::new("f", "abc"));
        assert_eq!(digest.as_str(), abc);
        let told = serde_json::to_string(&digest).unwrap();
        assert_eq!(told, format!("\"{abc}\""));
        assert_eq!(serde_json::from_str::<Digest>(&told).unwrap().as_str(), abc);
    }
}
