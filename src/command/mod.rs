//! The verbs: one file per command, `run(request, …) -> Result<outcome>`.
