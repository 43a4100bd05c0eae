//! A seed volume as a block device: a loop device over the bytes of `seed.iso`.
//!
//! Not here: what is on it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use super::command::run;
use super::machine::Machine;
use super::scratch::Folder;

const LIMIT: Duration = Duration::from_secs(20);

/// Stands for the kernel's ISO 9660 driver where the kernel has none: the files, as an independent program reads them
/// from the same bytes, appear where the volume is to be mounted. mount(8) calls it with the device and the place.
const DRIVER: &str = "#!/bin/sh\nexec mount --bind /usr/lib/seed-volume \"$2\"\n";

/// A loop device; detached when dropped.
#[derive(Debug)]
pub(crate) struct SeedDevice {
    device: PathBuf,
    folder: Folder,
}

impl SeedDevice {
    /// Makes a writable device with these bytes.
    pub(crate) fn new(volume: &[u8]) -> Self {
        Self::attach(volume, &[])
    }

    /// The same, as a medium that cannot be written.
    pub(crate) fn read_only(volume: &[u8]) -> Self {
        Self::attach(volume, &["--read-only"])
    }

    fn attach(volume: &[u8], options: &[&str]) -> Self {
        static SWEEP: Once = Once::new();
        let folder = Folder::new();
        SWEEP.call_once(detach_stale);
        let file = folder.path().join("seed.iso");
        std::fs::write(&file, volume).expect("writing a seed volume");
        let file = file.display().to_string();
        let argv = [&["losetup", "--find", "--show"], options, &[&file]].concat();
        let device = run(&argv, LIMIT).expect_success();
        Self { device: PathBuf::from(device.trim()), folder }
    }

    /// Its place under `/dev`.
    pub(crate) fn device(&self) -> &Path {
        &self.device
    }

    /// The bytes that are on it now.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let device = File::open(&self.device).expect("the device");
        rustix::fs::fsync(&device).expect("flushing the device");
        std::fs::read(self.folder.path().join("seed.iso")).expect("the seed volume")
    }

    /// Plugs it into a machine, with a stand-in for the file system's driver where this kernel has none.
    #[expect(clippy::print_stderr, reason = "what is not shown here is said aloud")]
    pub(crate) fn plug_into(&self, machine: &mut Machine) {
        machine.plug_in(&self.device);
        if self.kernel_mounts_it() {
            return;
        }
        eprintln!("this kernel has no ISO 9660: the seed is mounted through a stand-in for its driver");
        let files = self.folder.folder("files");
        let iso = self.folder.path().join("seed.iso").display().to_string();
        run(&["bsdtar", "-xf", &iso, "-C", &files.display().to_string()], LIMIT).expect_success();
        for entry in std::fs::read_dir(files).expect("the volume's files").flatten() {
            let name = entry.file_name().into_string().expect("a plain name");
            let contents = std::fs::read(entry.path()).expect("a file of the volume");
            machine.put(&format!("usr/lib/seed-volume/{name}"), 0o600, &contents);
        }
        machine.put("usr/sbin/mount.iso9660", 0o755, DRIVER.as_bytes());
    }

    fn kernel_mounts_it(&self) -> bool {
        let place = self.folder.folder("mounted").display().to_string();
        let device = self.device.display().to_string();
        let script = "mount -t iso9660 -o ro \"$1\" \"$2\" && umount \"$2\"";
        run(&["unshare", "--mount", "sh", "-euc", script, "try", &device, &place], LIMIT).succeeded()
    }
}

impl Drop for SeedDevice {
    fn drop(&mut self) {
        run(&["losetup", "--detach", &self.device.display().to_string()], LIMIT);
    }
}

/// Detaches devices whose file a killed test has left; the file itself is gone by now.
fn detach_stale() {
    let list = run(&["losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE"], LIMIT).stdout;
    for line in list.lines().filter(|line| line.contains("meshboot-test-") && line.contains("(deleted)")) {
        if let Some(device) = line.split_whitespace().next() {
            run(&["losetup", "--detach", device], LIMIT);
        }
    }
}
