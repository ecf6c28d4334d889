//! `tollgate demo`: everything but an account. The provider is simulated, prices and key are ready, and all of it lives in
//! a folder that goes when the demo ends.

use super::args::Demo;
use super::serve;
use super::terminal::{Failure, Outcome, Terminal};
use crate::config::Config;
use crate::demo;
use crate::serve::Origin;
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

pub(super) fn demo(arguments: &Demo, terminal: &mut Terminal<'_>) -> Outcome {
    let cannot = |error: io::Error| Failure::Runtime(format!("the demo cannot start: {error}"));
    let provider = demo::spawn().map_err(cannot)?;
    if arguments.provider_only {
        writeln!(terminal.out, "http://{provider}")?;
        terminal.out.flush()?;
        loop {
            std::thread::park();
        }
    }
    let folder = Folder::make().map_err(cannot)?;
    let file = folder.0.join("tollgate.toml");
    fs::write(&file, config_text(arguments.listen, provider)).map_err(cannot)?;
    fs::write(folder.0.join("pricing.toml"), demo::PRICES).map_err(cannot)?;
    let config = Config::load(&file, terminal.env)?;
    let shown = file.display();
    terminal.remark(&format!("While it runs, in another terminal: tollgate -c {shown} log list"))?;
    serve::run(
        config,
        Origin { config_file: Some(file.clone()), default_prices: "", scratch_folder: Some(folder.0.clone()) },
        true,
        terminal,
    )
}

/// The demo's config file.
pub(super) fn config_text(listen: SocketAddr, provider: SocketAddr) -> String {
    // Another Tollgate may be there already; a demo can do without metrics.
    let metrics = if TcpListener::bind("127.0.0.1:9464").is_ok() { "127.0.0.1:9464" } else { "" };
    let mut text = format!("[server]\nlisten = [\"{listen}\"]\nmetrics_listen = \"{metrics}\"\n");
    let mut upstreams: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for model in demo::models() {
        upstreams.entry((model.provider, model.base_path)).or_default().push(format!("{:?}", model.name));
    }
    // OpenAI's first: the curl that is shown is for the first one.
    let mut upstreams: Vec<_> = upstreams.into_iter().collect();
    upstreams.sort_by_key(|((name, _), _)| *name != "openai");
    for ((name, base_path), models) in upstreams {
        let models = models.join(", ");
        text.push_str(&format!(
            "\n[[upstream]]\nname = \"demo-{name}\"\nprovider = \"{name}\"\napi_key = \"demo\"\n\
             base_url = \"http://{provider}{base_path}\"\nmodels = [{models}]\n"
        ));
    }
    text
}

/// A folder of our own, removed with all that is in it.
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let name = format!("tollgate-demo-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        let _ = fs::remove_dir_all(path);
    }
}
