//! A small ISO 9660 volume: some files in the root folder, nothing else. That is all a `NoCloud` seed needs.
//!
//! Three readers find the same bytes: a plain one by upper-case names (ECMA-119, interchange level 2), Windows and
//! macOS by Joliet names, Linux by Rock Ridge names with modes. Each file lies in one piece, so that a node can
//! overwrite a secret's sectors in place. The same files give the same bytes.
//!
//! Not here: folders, links, files of 4 GiB and more, boot records. Why it is our own: `docs/adr/0008-own-iso-writer.md`.
//! To put one more file on the seed, pass one more [`IsoFile`].

mod descriptor;
mod record;

use std::collections::BTreeSet;
use std::io::{self, Write};

use descriptor::{Tables, Volume};
use record::Names;

/// Bytes in a logical sector (ECMA-119 section 6.1.2).
pub const SECTOR: usize = 2048;

/// Sectors that ECMA-119 section 6.2.1 leaves to the system; ours are zero.
const SYSTEM_AREA_SECTORS: usize = 16;

/// Primary descriptor, Joliet descriptor, terminator.
const DESCRIPTOR_SECTORS: usize = 3;

/// Path tables: little and big endian, primary and Joliet. With a root folder alone each fits a sector.
const PATH_TABLE_SECTORS: usize = 4;

/// One file of a volume.
#[derive(Debug, Clone, Copy)]
pub struct IsoFile<'a> {
    /// Name in lower case; letters, digits, `-`, `_` and dots, at most 31 characters in ISO form.
    pub name: &'a str,
    /// Permission bits that Linux shows, as in 0o400.
    pub mode: u32,
    /// The bytes.
    pub contents: &'a [u8],
}

/// Where a file lies in the volume: one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// File's name.
    pub name: String,
    /// First byte, counted from the start of the volume; a multiple of [`SECTOR`].
    pub offset: u64,
    /// Bytes of the file.
    pub length: u64,
}

/// Why a volume cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum IsoError {
    /// A name that one of the three readers could not show.
    #[error("the file name `{name}` does not fit a seed volume: {reason}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two files that a plain reader would see under one name.
    #[error("the files `{name}` and another have one name on a seed volume: `{iso_name}`")]
    Clash {
        /// One of the names.
        name: String,
        /// The name they share.
        iso_name: String,
    },
    /// More than 32 bits can count.
    #[error("the seed volume is larger than 4 GiB")]
    TooLarge,
    /// The volume's label is not one.
    #[error("`{0}` is not a volume label: 1 to 16 of A-Z, 0-9 and `_`")]
    Label(String),
    /// The writer failed.
    #[error("writing a seed volume")]
    Write(#[from] io::Error),
}

/// Writes a volume with these files to `out` and tells where each of them lies.
///
/// `label` is what `blkid` shows as LABEL; `unix_seconds` dates the volume and all files.
pub fn write(
    out: &mut impl Write,
    label: &str,
    unix_seconds: u64,
    files: &[IsoFile<'_>],
) -> Result<Vec<Extent>, IsoError> {
    let label_fits = (1..=16).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if !label_fits {
        return Err(IsoError::Label(label.to_owned()));
    }
    let date = record::Date::from_unix(unix_seconds);
    let names = names_of(files)?;

    // The folders' sizes do not depend on where things lie, so a first draft at sector 0 measures them.
    let lengths = files.iter().map(|file| u32::try_from(file.contents.len())).collect::<Result<Vec<_>, _>>();
    let lengths = lengths.map_err(|_| IsoError::TooLarge)?;
    let draft = Layout::new(0, 0, &lengths)?;
    let primary_bytes = record::primary_folder(&names, files, &draft, date).len();
    let joliet_bytes = record::joliet_folder(&names, &draft, date).len();
    let layout = Layout::new(primary_bytes, joliet_bytes, &lengths)?;

    let volume = Volume { label, date, sectors: layout.total_sectors };
    for _ in 0..SYSTEM_AREA_SECTORS {
        out.write_all(&[0; SECTOR])?;
    }
    let tables = |first| Tables { little: first, big: first + 1 };
    let first_table = to_u32(SYSTEM_AREA_SECTORS + DESCRIPTOR_SECTORS)?;
    out.write_all(&descriptor::primary(&volume, tables(first_table), layout.primary))?;
    out.write_all(&descriptor::joliet(&volume, tables(first_table + 2), layout.joliet))?;
    out.write_all(&descriptor::terminator())?;
    for root in [layout.primary, layout.joliet] {
        out.write_all(&descriptor::path_table_little(root))?;
        out.write_all(&descriptor::path_table_big(root))?;
    }
    out.write_all(&record::primary_folder(&names, files, &layout, date))?;
    out.write_all(&record::joliet_folder(&names, &layout, date))?;
    for file in files {
        out.write_all(file.contents)?;
        let rest = file.contents.len().next_multiple_of(SECTOR) - file.contents.len();
        out.write_all(&[0; SECTOR][..rest])?;
    }
    let extents = files.iter().zip(&layout.files).map(|(file, place)| Extent {
        name: file.name.to_owned(),
        offset: u64::from(place.sector) * SECTOR as u64,
        length: u64::from(place.bytes),
    });
    Ok(extents.collect())
}

/// A piece of the volume.
#[derive(Debug, Clone, Copy)]
struct Place {
    sector: u32,
    bytes: u32,
}

/// Where everything after the path tables lies.
struct Layout {
    primary: Place,
    joliet: Place,
    files: Vec<Place>,
    total_sectors: u32,
}

impl Layout {
    fn new(primary_bytes: usize, joliet_bytes: usize, lengths: &[u32]) -> Result<Self, IsoError> {
        let mut next = to_u32(SYSTEM_AREA_SECTORS + DESCRIPTOR_SECTORS + PATH_TABLE_SECTORS)?;
        let mut place = |bytes: u32| {
            let sector = next;
            let sectors = to_u32((bytes as usize).div_ceil(SECTOR))?;
            next = next.checked_add(sectors).ok_or(IsoError::TooLarge)?;
            Ok::<_, IsoError>(Place { sector, bytes })
        };
        let primary = place(to_u32(primary_bytes)?)?;
        let joliet = place(to_u32(joliet_bytes)?)?;
        let files = lengths.iter().map(|&bytes| place(bytes)).collect::<Result<_, _>>()?;
        Ok(Self { primary, joliet, files, total_sectors: next })
    }
}

fn to_u32(number: usize) -> Result<u32, IsoError> {
    u32::try_from(number).map_err(|_| IsoError::TooLarge)
}

fn names_of(files: &[IsoFile<'_>]) -> Result<Vec<Names>, IsoError> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(files.len());
    for file in files {
        let name =
            Names::new(file.name).map_err(|reason| IsoError::Name { name: file.name.to_owned(), reason })?;
        if !seen.insert(name.iso.clone()) {
            return Err(IsoError::Clash { name: file.name.to_owned(), iso_name: name.iso });
        }
        names.push(name);
    }
    Ok(names)
}
