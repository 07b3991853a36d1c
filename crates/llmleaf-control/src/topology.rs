//! Further providers and routes, as a controller writes them: `{"providers": [..], "routes": [..]}`, each in the form that the
//! configuration file has. What they mean is for whoever reads that file.

use crate::identity::shape;
use crate::pull::Trouble;
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    providers: Vec<IgnoredAny>,
    #[serde(default)]
    routes: Vec<IgnoredAny>,
}

/// How many entries there are.
///
/// # Errors
/// It is no topology.
pub fn size(body: &[u8]) -> Result<usize, Trouble> {
    // A list would be read as fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Trouble::Shape("it is no object".to_owned()));
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| shape(&error))?;
    Ok(body.providers.len() + body.routes.len())
}
