//! Addresses that follow from the operator's project and location.

use crate::path::{encode, is_version};

/// How a service's address is made.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The host of a location, which stands for `{}`.
    pub regional: &'static str,
    /// Locations with a host of another form.
    pub hosts: &'static [(&'static str, &'static str)],
    /// The location where none is set.
    pub location: &'static str,
    /// The API version, as a path segment.
    pub version: &'static str,
}

impl Place {
    /// The base URL: of `endpoint`, where the operator gives one, and else of the location's host. Without a project it is that of
    /// the whole service, which knows the project by the key. An endpoint that leads into a project is taken as it is.
    pub fn base(
        &self,
        endpoint: Option<&str>,
        project: Option<&str>,
        location: Option<&str>,
        version: Option<&str>,
    ) -> String {
        let location = location.unwrap_or(self.location);
        let host = match endpoint {
            Some(endpoint) if endpoint.contains("/projects/") => return endpoint.to_owned(),
            Some(endpoint) => endpoint.to_owned(),
            None => {
                // Without a project there are no locations.
                let location = project.map_or(self.location, |_| location);
                let own = self.hosts.iter().find(|(name, _)| *name == location);
                own.map_or_else(
                    || self.regional.replace("{}", location),
                    |(_, host)| (*host).to_owned(),
                )
            }
        };
        let version = match host.split('/').skip(3).any(is_version) {
            true => String::new(),
            false => format!("/{}", version.unwrap_or(self.version)),
        };
        match project {
            Some(project) => {
                let (project, location) = (encode(project), encode(location));
                format!("{host}{version}/projects/{project}/locations/{location}")
            }
            None => format!("{host}{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_follows_from_project_and_location() {
        let place = crate::find("vertex").and_then(|row| row.place);
        let place = place.expect("its address is made");
        for (endpoint, project, location, version, url) in [
            (
                None,
                Some("p"),
                None,
                None,
                "https://aiplatform.googleapis.com/v1/projects/p/locations/global",
            ),
            (
                None,
                Some("p"),
                Some("europe-west1"),
                None,
                "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1",
            ),
            (
                None,
                Some("p"),
                Some("eu"),
                Some("v1beta1"),
                "https://aiplatform.eu.rep.googleapis.com/v1beta1/projects/p/locations/eu",
            ),
            (
                None,
                None,
                Some("europe-west1"),
                None,
                "https://aiplatform.googleapis.com/v1",
            ),
            (
                Some("https://proxy.example/x"),
                Some("p"),
                None,
                None,
                "https://proxy.example/x/v1/projects/p/locations/global",
            ),
            (
                Some("https://v1.example/v1beta1"),
                Some("p"),
                None,
                None,
                "https://v1.example/v1beta1/projects/p/locations/global",
            ),
            (
                Some("https://h.example/v1/projects/q/locations/l"),
                Some("p"),
                None,
                None,
                "https://h.example/v1/projects/q/locations/l",
            ),
        ] {
            assert_eq!(place.base(endpoint, project, location, version), url);
        }
    }
}
