//! Where a process ends with the one before it, so that nobody can take over.

use std::os::unix::process::parent_id;

/// The first process of a container, and of every system.
const FIRST: u32 = 1;

/// What containers are started with instead (`docker run --init`): it ends with its only child, and everything with it.
const INITS: [&str; 5] = ["docker-init", "tini", "tini-static", "dumb-init", "catatonit"];

/// # Errors
/// This process is one of those, as far as can be told.
pub(super) fn check() -> Result<(), String> {
    // Where it is hidden, this is no container.
    let first = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    place_of(std::process::id(), parent_id(), first.trim_end())
}

fn place_of(process: u32, parent: u32, first: &str) -> Result<(), String> {
    if process == FIRST {
        return Err("process 1 of a container cannot hand over: the container ends with it".to_owned());
    }
    if parent == FIRST && INITS.contains(&first) {
        return Err(format!("a child of {first} cannot hand over: the container ends with it"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::place_of;

    #[test]
    fn the_first_process_and_the_child_of_a_containers_init_cannot_be_succeeded() {
        assert!(place_of(1, 0, "tollgate").is_err());
        assert!(place_of(7, 1, "docker-init").unwrap_err().contains("docker-init"));
        assert_eq!(place_of(7, 1, "systemd"), Ok(()));
        assert_eq!(place_of(7, 1, ""), Ok(()), "hidden, as the unit has it");
        assert_eq!(place_of(9, 7, "tini"), Ok(()), "what tini started is a supervisor");
    }
}
