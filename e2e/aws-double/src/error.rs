//! What a call can be refused with.
//!
//! Errors that AWS models carry the name of their shape; code and status come from the model. The others are those of
//! "Common Errors" in the CloudWatch API reference (CommonErrors), which no model states.

use serde_json::{Map, Value};

use crate::model::{ErrorTrait, Model, Operation};

/// One refusal.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{shape}: {message}")]
pub(crate) struct ApiError {
    /// The error's shape, or the code itself if no model has it.
    pub(crate) shape: &'static str,
    pub(crate) message: String,
    /// Further members of the error's shape.
    pub(crate) members: Map<String, Value>,
}

impl ApiError {
    pub(crate) fn new(shape: &'static str, message: impl Into<String>) -> Self {
        Self { shape, message: message.into(), members: Map::new() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    pub(crate) fn invalid_value(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterValueException", message)
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new("MissingRequiredParameterException", message)
    }

    pub(crate) fn combination(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterCombinationException", message)
    }

    /// `ResourceNotFoundException`, which names what is missing in members of its own.
    pub(crate) fn not_found(kind: &str, id: &str) -> Self {
        let members = [("ResourceType", kind), ("ResourceId", id)];
        Self {
            shape: "ResourceNotFoundException",
            message: format!("{kind} {id} does not exist"),
            members: members.map(|(name, value)| (name.to_owned(), value.into())).into_iter().collect(),
        }
    }

    /// An operation that AWS has and the double hasn't; no client takes that for a passing fault and tries again.
    pub(crate) fn not_served(operation: &str) -> Self {
        Self::new(
            "UnknownOperationException",
            format!("{operation} is AWS's, but this double doesn't serve it"),
        )
    }

    /// A next token that nobody gave, as the operation says it: not every one models an error of its own for that.
    pub(crate) fn modelled_by(self, operation: &Operation) -> Self {
        if self.shape != "InvalidNextToken" || operation.models("InvalidNextToken") {
            return self;
        }
        let modelled = ["InvalidParameterValueException", "InvalidParameterException"]
            .into_iter()
            .find(|shape| operation.models(shape));
        Self { shape: modelled.unwrap_or("ValidationError"), ..self }
    }

    /// A bug of the double itself: it must be seen as one, and not as a refusal.
    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self::new("InternalServiceFault", format!("the double is wrong: {message}"))
    }

    pub(crate) fn wire(&self, model: &Model) -> ErrorTrait {
        let shape = if model.query_codes { self.shape } else { self.exception() };
        if let Some(modelled) = model.error(shape) {
            return modelled.clone();
        }
        let (code, status) = match shape {
            "InvalidParameterValueException" => ("InvalidParameterValue", 400),
            "MissingRequiredParameterException" => ("MissingParameter", 400),
            "InvalidParameterCombinationException" => ("InvalidParameterCombination", 400),
            "InternalServiceFault" => ("InternalFailure", 500),
            code @ ("AccessDenied"
            | "ExpiredToken"
            | "InvalidClientTokenId"
            | "MissingAuthenticationToken"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "AccessDeniedException"
            | "ExpiredTokenException"
            | "MissingAuthenticationTokenException"
            | "InvalidSignatureException"
            | "IncompleteSignatureException") => (code, 403),
            code @ ("InvalidAction" | "UnknownOperationException") => (code, 404),
            code @ ("RequestEntityTooLarge" | "RequestEntityTooLargeException") => (code, 413),
            code @ ("ServiceUnavailable" | "ServiceUnavailableException") => (code, 503),
            code @ "ThrottlingException" => (code, 429),
            code @ "ServiceQuotaExceededException" => (code, 402),
            code => (code, 400),
        };
        ErrorTrait { code: code.to_owned(), status, sender: status < 500 }
    }

    /// How services that never spoke the query protocol name it.
    fn exception(&self) -> &'static str {
        match self.shape {
            "Throttling" => "ThrottlingException",
            "AccessDenied" => "AccessDeniedException",
            "ExpiredToken" => "ExpiredTokenException",
            "MissingAuthenticationToken" => "MissingAuthenticationTokenException",
            "SignatureDoesNotMatch" => "InvalidSignatureException",
            "IncompleteSignature" => "IncompleteSignatureException",
            "ServiceUnavailable" => "ServiceUnavailableException",
            "RequestEntityTooLarge" => "RequestEntityTooLargeException",
            "InternalServiceFault" => "InternalServerException",
            "ResourceNotFound" => "ResourceNotFoundException",
            "ValidationError" => "ValidationException",
            other => other,
        }
    }
}
