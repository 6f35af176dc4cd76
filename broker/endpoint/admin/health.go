package admin

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/operate/insight"
)

type healthView struct {
	AsOf         moment
	Providers    []providerRow
	Certificates []certificateRow
}

type providerRow struct {
	insight.ProviderHealth
	Type, Word, State  string
	Took               string
	ReadAgo            string
	LastIn, LastFailed moment
}

type certificateRow struct {
	insight.Certificate
	Short, Ends, Lasts string
	Word, State        string
	// Share of 90 days that is left, 0 to 120, for the bar.
	Share int
	Soon  bool
}

func (e *Endpoint) health(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	h, err := e.cfg.Insight.Health(r.Context(), caller, true)
	if err != nil {
		return err
	}
	view := healthView{AsOf: e.moment(h.At)}
	for _, p := range h.Providers {
		view.Providers = append(view.Providers, e.providerRow(p, h.At))
	}
	for _, c := range h.Certificates {
		view.Certificates = append(view.Certificates, certificateRowOf(c))
	}
	return e.show(w, r, caller, "health", "Health", view)
}

var typeNames = map[string]string{"saml": "SAML", "oidc": "OpenID Connect", "oauth2": "OAuth 2.0"}

func (e *Endpoint) providerRow(p insight.ProviderHealth, now time.Time) providerRow {
	row := providerRow{ProviderHealth: p, Type: cmp.Or(typeNames[p.ProviderInfo.Type], p.ProviderInfo.Type), Word: "good", State: "works", LastIn: e.moment(p.Last), LastFailed: e.moment(p.Failed), ReadAgo: "never"}
	if p.Took > 0 {
		row.Took = fmt.Sprintf("%d ms", max(1, p.Took.Milliseconds()))
	}
	if !p.Read.IsZero() {
		row.ReadAgo = ago(now.Sub(p.Read))
	}
	switch {
	case p.Fault != "" && p.Keys == 0:
		row.Word, row.State = "bad", "cannot be used"
	case p.Fault != "":
		row.Word, row.State = "warn", "does not answer; the last copy serves"
	case p.Refused > 0 && p.SignIns == 0:
		row.Word, row.State = "warn", "refuses everybody"
	case p.Static:
		row.Word, row.State, row.ReadAgo = "none", "asked at each sign-in", "nothing to keep"
	case p.Read.IsZero():
		row.Word, row.State = "none", "not asked yet"
	}
	return row
}

func certificateRowOf(c insight.Certificate) certificateRow {
	row := certificateRow{Certificate: c, Ends: c.Ends.UTC().Format("2 Jan 2006"), Lasts: days(c.Left), Word: "good", State: cmp.Or(c.Note, "fine")}
	row.Short = c.Fingerprint
	if len(row.Short) > 20 {
		row.Short = row.Short[:16] + "…"
	}
	row.Share = int(min(1, max(0, c.Left.Hours()/(90*24))) * 120)
	switch c.Mark {
	case "over":
		row.Word, row.State = "bad", "over"
	case "now":
		row.Word, row.State = "bad", "ends within a day"
	case "near":
		row.Word, row.State = "bad", "ends within 7 days"
	case "soon":
		row.Word, row.State = "warn", "ends within 30 days"
	}
	if row.Soon = c.Mark != ""; row.Soon && c.Note != "" {
		row.State += "; " + c.Note
	}
	return row
}

// attentionOf is what the overview says of it.
func attentionOf(h insight.Health) []attention {
	var all []attention
	for _, p := range h.Providers {
		switch {
		case p.Fault != "" && p.Keys == 0:
			all = append(all, attention{"bad", p.Label, "cannot be used: " + bounded(p.Fault), "/admin/health", "Health"})
		case p.Fault != "":
			all = append(all, attention{"warn", p.Label, "does not answer; its last copy serves", "/admin/health", "Health"})
		}
	}
	for _, c := range h.Certificates {
		row := certificateRowOf(c)
		if row.Soon {
			all = append(all, attention{row.Word, c.What, row.State + ", " + row.Ends, "/admin/health#certificates", "Health"})
		}
	}
	return all
}

// ago is "3 min ago".
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d.Hours()))
	}
	return days(d) + " ago"
}

// days is "28 days"; what is over is "none".
func days(d time.Duration) string {
	switch n := int(d.Hours() / 24); {
	case d <= 0:
		return "none"
	case n == 0:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case n >= 2*365:
		return counted(n/365, "year")
	default:
		return counted(n, "day")
	}
}

type configurationView struct {
	insight.Configuration
	LoadedAt  moment
	Short     string
	Lines     []configurationLine
	RefusedAt moment
}

type configurationLine struct {
	Indent, Text, Secret string
	Default              bool
}

func (e *Endpoint) configuration(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	c, err := e.cfg.Insight.Configuration(r.Context(), caller)
	if err != nil {
		return err
	}
	view := configurationView{Configuration: c, LoadedAt: e.moment(c.Loaded), Short: c.Digest[:min(12, len(c.Digest))]}
	if c.NotTaken != nil {
		view.RefusedAt = e.moment(c.NotTaken.At)
	}
	for _, l := range c.Lines {
		view.Lines = append(view.Lines, configurationLine{strings.Repeat("  ", l.Depth), l.Text, l.Secret, l.Default})
	}
	return e.show(w, r, caller, "configuration", "Configuration", view)
}
