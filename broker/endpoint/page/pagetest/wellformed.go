package pagetest

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

var void = map[string]bool{"meta": true, "link": true, "input": true, "br": true, "hr": true, "img": true}

// WellFormed reads the page as XML with HTML's void elements and bare attributes.
func WellFormed(html string) error {
	d := xml.NewDecoder(strings.NewReader(html))
	d.Strict, d.AutoClose, d.Entity = true, xml.HTMLAutoClose, xml.HTMLEntity
	d.Strict = false
	var open []string
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if !void[t.Name.Local] {
				open = append(open, t.Name.Local)
			}
		case xml.EndElement:
			if void[t.Name.Local] {
				continue // RawToken closes <path/>
			}
			if len(open) == 0 || open[len(open)-1] != t.Name.Local {
				return errors.New("</" + t.Name.Local + "> closes " + strings.Join(open, ">"))
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		return errors.New("left open: " + strings.Join(open, ">"))
	}
	return nil
}
