package account

import (
	"strings"
	"time"

	own "github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/iam"
)

// sessionsView is the page of one's own sessions.
type sessionsView struct {
	Sessions []sessionRow
	Activity []activityRow
	More     bool
	Ended    bool // one was ended a moment ago
}

type sessionRow struct {
	ID, Kind, From, Agent string
	Current               bool
	Since, Used, Ends     moment
}

// moment is a time with the day where that is not today.
type moment struct {
	At   time.Time
	Text string
}

func (m moment) Zero() bool { return m.At.IsZero() }

type activityRow struct {
	When                moment
	What, Role, From    string
	Word, Outcome       string // good, warn or bad, and the words
	Why                 string // a role whose page says why
	RequestID           string
	AccountID, RoleName string
}

func (e *Endpoint) moment(t time.Time) moment {
	if t.IsZero() {
		return moment{}
	}
	t = t.UTC()
	layout := "15:04:05"
	if now := e.cfg.Now().UTC(); t.YearDay() != now.YearDay() || t.Year() != now.Year() {
		layout = "2 Jan 15:04:05"
	}
	return moment{t, t.Format(layout)}
}

// kinds say how a session came to be.
var kinds = map[string]string{"browser": "Browser", "cli": "Command line", "device": "Command line, device code", "exchange": "Token exchange", "tvm": "App"}

func (e *Endpoint) sessionRow(s own.Session) sessionRow {
	kind := kinds[s.Kind]
	if kind == "" {
		kind = s.Kind
	}
	return sessionRow{ID: s.ID, Kind: kind, From: s.Address, Agent: s.Agent, Current: s.Current, Since: e.moment(s.Since), Used: e.moment(s.LastSeen), Ends: e.moment(s.Ends)}
}

// events say what was done.
var events = map[string]string{
	"signin": "Sign-in", "signout": "Sign-out", "credentials": "Access keys", "console": "Console", "authorize": "Program allowed",
	"token.code": "Program signed in", "token.authorization_code": "Program signed in", "token.refresh": "Program renewed", "token.refresh_token": "Program renewed", "token.exchange": "Token exchange",
	"admin.audit": "Record read", "admin.explain": "Explained somebody", "admin.export": "Record exported", "admin.revoke": "Session of somebody revoked", "admin.revoke_all": "Sessions of somebody revoked",
	"revoke": "Program signed out", "session.end": "Session ended", "session.end_all": "Signed out everywhere",
}

func (e *Endpoint) activityRow(a own.Activity) activityRow {
	row := activityRow{When: e.moment(a.Time), What: events[a.Event], Role: a.Role, From: a.Address, RequestID: a.RequestID, Word: "good", Outcome: "done"}
	if row.What == "" {
		row.What = a.Event
	}
	if arn, err := iam.ParseRoleARN(a.Role); err == nil {
		row.Role = arn.Account + "/" + arn.Name
	}
	issues := a.Event == "credentials" || a.Event == "console"
	switch a.Outcome {
	case "granted":
		if issues {
			row.Outcome = "issued"
			if a.Duration > 0 {
				row.Outcome = "issued until " + e.moment(a.Time.Add(a.Duration)).Text[:len(e.moment(a.Time.Add(a.Duration)).Text)-3]
			}
		}
	case "refused":
		row.Word, row.Outcome = "bad", "refused"
		if a.Reason != "" {
			row.Outcome += ": " + strings.ReplaceAll(a.Reason, "_", " ")
		}
		if issues {
			row.Why = a.Role
		}
	default:
		row.Word, row.Outcome = "warn", "failed"
	}
	return row
}
