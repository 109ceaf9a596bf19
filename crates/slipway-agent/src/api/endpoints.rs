//! Where the services are: a control plane that is all of them (D-02), or AWS.

use crate::download::aws_domain;

/// Addresses without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// CodeDeploy.
    pub codedeploy: String,
    /// IAM.
    pub iam: String,
    /// STS.
    pub sts: String,
}

impl Endpoints {
    /// One address for everything.
    pub fn one(endpoint: &str) -> Self {
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        Self { codedeploy: endpoint.clone(), iam: endpoint.clone(), sts: endpoint }
    }

    /// AWS itself.
    pub fn aws(region: &str) -> Self {
        let domain = aws_domain(region);
        let iam = match domain {
            "amazonaws.com" => "https://iam.amazonaws.com".to_owned(),
            domain => format!("https://iam.{region}.{domain}"),
        };
        Self {
            codedeploy: format!("https://codedeploy.{region}.{domain}"),
            iam,
            sts: format!("https://sts.{region}.{domain}"),
        }
    }

    /// The region in the scope of calls of IAM.
    pub(super) fn iam_region<'a>(&self, region: &'a str) -> &'a str {
        if self.iam == "https://iam.amazonaws.com" { "us-east-1" } else { region }
    }
}

#[cfg(test)]
mod tests {
    use super::Endpoints;

    #[test]
    fn aws_has_one_iam_and_a_control_plane_is_everything() {
        let aws = Endpoints::aws("eu-west-1");
        assert_eq!(aws.sts, "https://sts.eu-west-1.amazonaws.com");
        assert_eq!(
            (aws.iam.as_str(), aws.iam_region("eu-west-1")),
            ("https://iam.amazonaws.com", "us-east-1")
        );
        let own = Endpoints::one("https://deploy.test:8443/");
        assert_eq!(
            (own.iam.as_str(), own.iam_region("eu-west-1")),
            ("https://deploy.test:8443", "eu-west-1")
        );
        assert_eq!(Endpoints::aws("cn-north-1").sts, "https://sts.cn-north-1.amazonaws.com.cn");
    }
}
