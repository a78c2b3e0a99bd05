//! Writes the seeds for fuzzing: in the given directory, a directory for each property and a file
//! for each seed.

use std::{env, fs, io, path::Path};

use integration_tests::properties::ALL;

fn main() -> io::Result<()> {
    let directory = env::args_os()
        .nth(1)
        .ok_or_else(|| io::Error::other("say which directory to write to"))?;
    for property in ALL {
        let directory = Path::new(&directory).join(property.name);
        fs::create_dir_all(&directory)?;
        for (name, seed) in (property.seeds)() {
            fs::write(directory.join(name), seed)?;
        }
    }
    Ok(())
}
