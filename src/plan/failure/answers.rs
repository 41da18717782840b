//! Which failure an answer or a Secret's trouble is.

use super::Failure;
use crate::domain::answer::{ApiAnswer, Delivery, Forbidden, Trouble};
use crate::domain::token_secret::ContentProblem;
use crate::plan::step::SecretTrouble;

impl Failure {
    /// What an answer of the Web API is, if it is not what was asked for. A 401 is one only after a forced refresh.
    pub fn of_api<T>(answer: &ApiAnswer<T>) -> Option<Self> {
        Some(match answer {
            ApiAnswer::Found(_) => return None,
            ApiAnswer::Unauthorized => Self::AccessTokenRefused,
            ApiAnswer::Forbidden(Forbidden::Scope) => Self::ScopeInsufficient,
            ApiAnswer::Forbidden(Forbidden::NotAllowlisted) => Self::UserNotAllowlisted,
            ApiAnswer::Forbidden(Forbidden::OwnerNotPremium) => Self::AppOwnerNotPremium,
            ApiAnswer::Forbidden(Forbidden::Other) => Self::ForbiddenOtherwise,
            ApiAnswer::RateLimited { quota: true, .. } => Self::QuotaExceeded,
            ApiAnswer::RateLimited { quota: false, .. } => Self::ApiLimited,
            ApiAnswer::Failed(trouble) => match trouble {
                Trouble::Busy { .. } => Self::ApiBusy,
                Trouble::Status(500..) => Self::ApiTrouble,
                trouble if trouble.is_network() => Self::ApiNetwork,
                _ => Self::ApiUnusable,
            },
        })
    }

    /// What trouble with the token endpoint is.
    pub fn of_token_endpoint(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::Busy { .. } => Self::TokenEndpointBusy,
            trouble if trouble.is_network() => Self::TokenEndpointNetwork,
            _ => Self::TokenEndpointTrouble,
        }
    }

    /// What is wrong with a Secret.
    pub fn of_secret(trouble: &SecretTrouble) -> Self {
        match trouble {
            SecretTrouble::NotFound { .. } => Self::SecretNotFound,
            SecretTrouble::NotLabelled { .. } => Self::SecretNotLabelled,
            SecretTrouble::Content { problem: ContentProblem::KeyMissing { .. }, .. } => Self::SecretKeyMissing,
            SecretTrouble::Content { problem: ContentProblem::Invalid { .. }, .. } => Self::SecretInvalid,
            SecretTrouble::Immutable { .. } => Self::SecretImmutable,
            SecretTrouble::ReadForbidden { .. } => Self::SecretReadForbidden,
            SecretTrouble::WriteForbidden { .. } => Self::SecretWriteForbidden,
            SecretTrouble::NotOurs { .. } => Self::SecretNotOurs,
            SecretTrouble::Cluster => Self::ApiServerAway,
        }
    }

    /// What a target's answer is; none where it has the play or will never take it, or where the play's time is to blame.
    pub fn of_delivery(answer: &Delivery) -> Option<Self> {
        Some(match answer {
            Delivery::Accepted
            | Delivery::AlreadyThere
            | Delivery::Never { .. }
            | Delivery::NotNow { trouble: Trouble::TooNew | Trouble::SecondTaken, .. } => return None,
            Delivery::CredentialsRefused => Self::TargetCredentialsRefused,
            Delivery::ClientRefused { .. } => Self::TargetKeysRefused,
            Delivery::Suspended => Self::TargetGone,
            Delivery::NotNow { trouble, .. } | Delivery::Unknown(trouble) => Self::of_target(trouble),
        })
    }

    /// What trouble with a target is.
    pub fn of_target(trouble: &Trouble) -> Self {
        match trouble {
            Trouble::RateLimited => Self::TargetLimited,
            Trouble::DailyLimit => Self::TargetDayFull,
            Trouble::AddressRefused | Trouble::UrlRefused(_) => Self::TargetAddressRefused,
            Trouble::Timeout | Trouble::Unreachable | Trouble::Cut => Self::TargetNetwork,
            Trouble::Busy { .. }
            | Trouble::Status(_)
            | Trouble::Unreadable
            | Trouble::TooLarge
            | Trouble::OperationFailed
            | Trouble::TooNew
            | Trouble::SecondTaken
            | Trouble::Code(_)
            | Trouble::Ignored(_) => Self::TargetTrouble,
        }
    }
}
