//! OTLP logs: one log record a flow-window, its attributes named as in JSON and flattened with dots. The one
//! difference: a histogram's buckets are one string, `bucket:count` pairs with a space between, so that any store of
//! logs can keep them.

mod decode;
mod encode;
mod node;

pub use decode::{DecodeError, Decoder};
pub use encode::{encode_accounting, encode_flow, encode_node, export_request};

use crate::schema::{Category, EndpointKind, Lifecycle, Role};

/// Attributes looked at in one record; a record with more is refused.
pub const MAX_ATTRIBUTES: usize = 128;
/// Longest string taken from an attribute other than a histogram's buckets (a Kubernetes name has 253 at most).
pub const MAX_STRING_BYTES: usize = 600;
/// Longest window taken, in seconds.
pub const MAX_WINDOW_SECONDS: u32 = 3600;

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

fn kind_name(kind: EndpointKind) -> &'static str {
    match kind {
        EndpointKind::Pod => "pod",
        EndpointKind::Node => "node",
        EndpointKind::Service => "service",
        EndpointKind::Aws => "aws",
        EndpointKind::Vpc => "vpc",
        EndpointKind::Internet => "internet",
        EndpointKind::Unknown => "unknown",
    }
}

const KINDS: [EndpointKind; 7] = [
    EndpointKind::Pod,
    EndpointKind::Node,
    EndpointKind::Service,
    EndpointKind::Aws,
    EndpointKind::Vpc,
    EndpointKind::Internet,
    EndpointKind::Unknown,
];

fn category_name(category: Category) -> &'static str {
    match category {
        Category::IntraNode => "INTRA_NODE",
        Category::IntraAz => "INTRA_AZ",
        Category::InterAz => "INTER_AZ",
        Category::InterVpc => "INTER_VPC",
        Category::InterRegion => "INTER_REGION",
        Category::AwsService => "AWS_SERVICE",
        Category::Internet => "INTERNET",
        Category::Unclassified => "UNCLASSIFIED",
    }
}

const CATEGORIES: [Category; 8] = [
    Category::IntraNode,
    Category::IntraAz,
    Category::InterAz,
    Category::InterVpc,
    Category::InterRegion,
    Category::AwsService,
    Category::Internet,
    Category::Unclassified,
];

fn lifecycle_name(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Starting => "starting",
        Lifecycle::Restarting => "restarting",
        Lifecycle::Terminating => "terminating",
        Lifecycle::Gone => "gone",
    }
}

const LIFECYCLES: [Lifecycle; 4] =
    [Lifecycle::Starting, Lifecycle::Restarting, Lifecycle::Terminating, Lifecycle::Gone];
