//! The APIs of the control plane, one module each, one file per resource. They translate and call; the rules of a
//! resource live with it.

pub mod codedeploy;
pub mod iam;
pub mod sts;
