//! The page and what belongs to it. Everything comes from here: nothing is fetched from outside.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::Ground;

const DASHBOARD: &str = include_str!("assets/dashboard.html");
const LOGIN: &str = include_str!("assets/login.html");
const STYLE: &str = include_str!("assets/dashboard.css");
const SCRIPT: &str = include_str!("assets/dashboard.js");
const ICON: &str = include_str!("assets/icon.svg");

/// What shows that somebody may come in.
#[derive(Deserialize)]
pub(super) struct Shown {
    token: Option<String>,
}

pub(super) async fn dashboard(State(ground): State<Arc<Ground>>) -> Response {
    typed("text/html; charset=utf-8", DASHBOARD.replace("{csrf}", ground.door.csrf()))
}

pub(super) async fn style() -> Response {
    typed("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> Response {
    typed("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn icon() -> Response {
    typed("image/svg+xml", ICON)
}

/// A link that lets its reader in: the token is exchanged for a cookie, and is in no address from then on.
pub(super) async fn login(State(ground): State<Arc<Ground>>, Query(shown): Query<Shown>) -> Response {
    let_in(&ground, &shown)
}

pub(super) async fn login_form(State(ground): State<Arc<Ground>>, Form(shown): Form<Shown>) -> Response {
    let_in(&ground, &shown)
}

/// The page that asks for the token.
pub(super) fn ask_for_token() -> Response {
    (StatusCode::UNAUTHORIZED, typed("text/html; charset=utf-8", LOGIN)).into_response()
}

fn let_in(ground: &Ground, shown: &Shown) -> Response {
    match shown.token.as_deref().and_then(|token| ground.door.cookie_for(token)) {
        Some(cookie) => ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response(),
        None => ask_for_token(),
    }
}

fn typed(kind: &'static str, body: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}
