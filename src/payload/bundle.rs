//! `bundle.tar.gz`: every file that a node gets below `rootfs/`, and `manifest.json` with their SHA-256 sums.
//!
//! Not here: secrets. The home's mesh key is not among a node's files, so a bundle can be handed out. The same files
//! give the same bytes: entries are sorted, owned by root and dated with the fleet's build time.

use std::io;

use flate2::Compression;
use tar::{Builder, EntryType, Header};

use super::manifest::Manifest;
use super::user_data::gzip;
use crate::render::NodeFiles;

/// Packs a node's files with the manifest that lists them.
pub fn pack(files: &NodeFiles, manifest: &Manifest) -> io::Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    let manifest_text = manifest.to_json()?;
    append(&mut archive, "manifest.json", 0o644, manifest_text.as_bytes(), manifest.build_time)?;
    for file in &files.files {
        let path = format!("rootfs/{}", file.path.as_str().trim_start_matches('/'));
        append(&mut archive, &path, file.mode, &file.contents, manifest.build_time)?;
    }
    // Nothing limits a bundle's size, and compressing is most of a build's work: level 6 would take three times as long
    // to make it a quarter smaller.
    gzip(&archive.into_inner()?, Compression::fast())
}

fn append(
    archive: &mut Builder<Vec<u8>>,
    path: &str,
    mode: u32,
    contents: &[u8],
    build_time: u64,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_mtime(build_time);
    header.set_size(contents.len() as u64);
    archive.append_data(&mut header, path, contents)
}
