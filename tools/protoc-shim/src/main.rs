//! A stand-in for `protoc` that needs nothing installed: compiles .proto files to a descriptor set with `protox`.
//!
//! Answers `--version`, `-I`/`--proto_path`, `-o`/`--descriptor_set_out`; other flags are accepted and have no effect.
use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let mut includes = Vec::new();
    let mut files = Vec::new();
    let mut out = None;
    let mut args = env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--version" => {
                println!("libprotoc 33.0");
                return Ok(());
            }
            "-I" | "--proto_path" => includes.extend(args.next().map(PathBuf::from)),
            "-o" | "--descriptor_set_out" => out = args.next().map(PathBuf::from),
            _ if arg.starts_with("-I") => includes.push(PathBuf::from(&arg[2..])),
            _ if arg.starts_with("-o") => out = Some(PathBuf::from(&arg[2..])),
            _ if arg.starts_with("--") => match arg.split_once('=') {
                Some(("--descriptor_set_out", path)) => out = Some(PathBuf::from(path)),
                Some(("--proto_path", path)) => includes.push(PathBuf::from(path)),
                _ => {}
            },
            _ => files.push(PathBuf::from(arg)),
        }
    }
    let mut compiler = protox::Compiler::new(includes)?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(files)?;
    let set = compiler.file_descriptor_set().encode_to_vec();
    fs::write(out.ok_or("no --descriptor_set_out")?, set)?;
    Ok(())
}
