// Package page is what people see: the frame of all pages, their one style sheet
// and one script, and the pages that several endpoints show. An endpoint that has
// pages of its own keeps their templates (Further): portal, account, device, admin.
// It holds no rule about who may have what; a handler fills a view and renders it.
//
//	GET /assets/{name}   style sheet, script, icon; the name holds a digest of the content
//	GET /help            the keyboard, for browsers without scripts
//	GET /favicon.ico     the icon, for browsers that ask without reading the page
//
// Rules of every page: it works without the script; nothing inline, so that the
// strict Content-Security-Policy holds; names that come from elsewhere (people,
// groups, accounts, providers) stand in <bdi>, so that right-to-left text in one
// of them cannot disguise its neighbours; times are UTC and say so; each form
// that posts carries the CSRF token; the request id is at the foot.
package page
