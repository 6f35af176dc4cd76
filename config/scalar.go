package config

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"
)

// Patterns of scalars, also in the JSON Schema.
const (
	durationPattern = `^([0-9]+(\.[0-9]+)?(h|m|s|ms))+$`
	ratePattern     = `^[1-9][0-9]*/(s|m|h)$`
)

var (
	durationShape = regexp.MustCompile(durationPattern)
	rateShape     = regexp.MustCompile(ratePattern)
)

// Rate is a number of events in a period.
type Rate struct {
	Events int
	Period time.Duration
}

// String is N/s, N/m or N/h.
func (r Rate) String() string {
	switch r.Period {
	case time.Second:
		return fmt.Sprintf("%d/s", r.Events)
	case time.Minute:
		return fmt.Sprintf("%d/m", r.Events)
	case time.Hour:
		return fmt.Sprintf("%d/h", r.Events)
	default:
		return fmt.Sprintf("%d/%s", r.Events, r.Period)
	}
}

var (
	errShape = errors.New("not of the shape wanted")
	periods  = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour}
)

func parseRate(text string) (Rate, error) {
	if !rateShape.MatchString(text) {
		return Rate{}, errShape
	}
	events, err := strconv.Atoi(text[:len(text)-2])
	if err != nil || events > 1_000_000_000 {
		return Rate{}, errShape
	}
	return Rate{Events: events, Period: periods[text[len(text)-1]]}, nil
}

func parseDuration(text string) (time.Duration, error) {
	if !durationShape.MatchString(text) {
		return 0, errShape
	}
	return time.ParseDuration(text)
}

// setText gives v the value that text stands for. Files and defaults both come
// this way.
func setText(v reflect.Value, text string, at Pos) error {
	switch {
	case v.Type() == textType:
		v.Set(reflect.ValueOf(Text{Value: text, Pos: at}))
		return nil
	case v.Type() == durationType:
		parsed, err := parseDuration(text)
		v.SetInt(int64(parsed))
		return err
	case v.Type() == rateType:
		parsed, err := parseRate(text)
		v.Set(reflect.ValueOf(parsed))
		return err
	case v.Kind() == reflect.Pointer:
		pointed := reflect.New(v.Type().Elem())
		v.Set(pointed)
		return setText(pointed.Elem(), text, at)
	case v.Kind() == reflect.Int:
		parsed, err := strconv.Atoi(text)
		v.SetInt(int64(parsed))
		return err
	case v.Kind() == reflect.Bool:
		parsed, err := strconv.ParseBool(text)
		v.SetBool(parsed)
		return err
	default:
		v.SetString(text)
		return nil
	}
}

// wanted names what a value of type t looks like.
func wanted(t reflect.Type) string {
	switch shapeOf(t) {
	case isBool:
		return "true or false"
	case isDuration:
		return "a duration such as 90s, 15m or 1h30m"
	case isNumber:
		return "a whole number"
	case isRate:
		return "a rate such as 300/m (N/s, N/m or N/h)"
	default:
		return "text"
	}
}
