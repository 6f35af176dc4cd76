package oidc

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// idToken is what an ID token claims, by type only; judge.go says what is right.
type idToken struct {
	issuer, subject       string
	audience              []string
	azp, nonce, acr, sid  string
	atHash, codeHash      string
	expires, issued       time.Time
	notBefore, authTime   time.Time
	methods               []string
	tokenUse              string
	hasNonce, hasAzp      bool
	hasEvents, hasExpires bool
	claims                object
	payload               []byte
}

// readClaims reads the payload of a token. A claim of the protocol that is there
// must be of its type.
func readClaims(token jws) (*idToken, error) {
	claims := token.claims
	if claims == nil {
		var err error
		if claims, err = readObject(token.payload); err != nil {
			return nil, err
		}
	}
	t := &idToken{claims: claims, payload: token.payload}
	for i := range claims {
		if claims[i].value.kind == kindNull { // as good as absent
			continue
		}
		if err := t.take(claims[i].name, claims[i].value); err != nil {
			return nil, fmt.Errorf("%s %w", claims[i].name, err)
		}
	}
	return t, nil
}

func (t *idToken) take(name string, v value) (err error) {
	switch name {
	case "iss":
		t.issuer, err = v.asText()
	case "sub":
		t.subject, err = v.asText()
	case "aud":
		t.audience, err = v.asAudience()
	case "azp":
		t.hasAzp = true
		t.azp, err = v.asText()
	case "nonce":
		t.hasNonce = true
		t.nonce, err = v.asText()
	case "acr":
		t.acr, err = v.asText()
	case "sid":
		t.sid, err = v.asText()
	case "at_hash":
		t.atHash, err = v.asText()
	case "c_hash":
		t.codeHash, err = v.asText()
	case "token_use":
		t.tokenUse, err = v.asText()
	case "exp":
		t.hasExpires = true
		t.expires, err = v.asTime()
	case "iat":
		t.issued, err = v.asTime()
	case "nbf":
		t.notBefore, err = v.asTime()
	case "auth_time":
		t.authTime, err = v.asTime()
	case "amr":
		t.methods, err = v.asTexts()
	case "events":
		t.hasEvents = true
	}
	return err
}

func (v value) asText() (string, error) {
	if v.kind != kindText {
		return "", errors.New("is not text")
	}
	return v.text, nil
}

// asAudience is one text or a list of at least one.
func (v value) asAudience() ([]string, error) {
	if v.kind == kindText {
		return []string{v.text}, nil
	}
	texts, err := v.asTexts()
	if err == nil && len(texts) == 0 {
		err = errors.New("is empty")
	}
	return texts, err
}

func (v value) asTexts() ([]string, error) {
	if v.kind != kindList {
		return nil, errors.New("is not a list")
	}
	texts := make([]string, len(v.list()))
	for i, item := range v.list() {
		if item.kind != kindText {
			return nil, errors.New("is not a list of texts")
		}
		texts[i] = item.text
	}
	return texts, nil
}

// asTime is a NumericDate between 1970 and 9999; a string is none.
func (v value) asTime() (time.Time, error) {
	if v.kind != kindNumber {
		return time.Time{}, errors.New("is not a number")
	}
	if seconds, err := strconv.ParseInt(v.text, 10, 64); err == nil && seconds > 0 && seconds <= 253402300799 {
		return time.Unix(seconds, 0), nil
	}
	seconds, err := strconv.ParseFloat(v.text, 64)
	if err != nil || seconds <= 0 || seconds > 253402300799 {
		return time.Time{}, errors.New("is no time between 1970 and 9999")
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// attributes are the claims that are text, number, boolean or a list of these.
func (o object) attributes() map[string][]string {
	attrs := make(map[string][]string, len(o))
	for _, m := range o {
		switch m.value.kind {
		case kindText, kindNumber, kindBool:
			attrs[m.name] = []string{m.value.text}
		case kindList:
			if values, ok := m.value.scalars(); ok {
				attrs[m.name] = values
			}
		}
	}
	return attrs
}

func (v value) scalars() ([]string, bool) {
	texts := make([]string, len(v.list()))
	for i, item := range v.list() {
		switch item.kind {
		case kindText, kindNumber, kindBool:
			texts[i] = item.text
		default:
			return nil, false
		}
	}
	return texts, true
}
