package endpoint

import "net/http"

const lastProviderCookie = "rolecall_provider"

// LastProvider is the provider by which this browser signed in last, "" if it
// never did. It only decides which button of the sign-in page is filled.
func (c Cookies) LastProvider(r *http.Request) string { return value(r, c.name(lastProviderCookie)) }

// SetLastProvider remembers the provider for a year.
func (c Cookies) SetLastProvider(w http.ResponseWriter, provider string) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name(lastProviderCookie), Value: provider, Path: "/", MaxAge: 365 * 24 * 60 * 60,
		HttpOnly: true, Secure: c.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}

const knownCookie = "rolecall_known"

// Known is the value by which this browser is known again to whoever signed in here
// with a password, "" if nobody did. It opens nothing: guesses of a browser that is
// known are counted apart from those of strangers.
func (c Cookies) Known(r *http.Request) string { return value(r, c.name(knownCookie)) }

// SetKnown gives it for a year; "" gives none.
func (c Cookies) SetKnown(w http.ResponseWriter, holder string) {
	if holder == "" {
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: c.name(knownCookie), Value: holder, Path: "/", MaxAge: 365 * 24 * 60 * 60,
		HttpOnly: true, Secure: c.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}
