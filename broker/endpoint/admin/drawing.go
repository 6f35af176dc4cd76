package admin

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rolecall/rolecall/broker/operate/insight"
)

// drawing is the access graph as an SVG: three columns of boxes, and curves
// between them. Coordinates are those of its view box.
type drawing struct {
	Width, Height int
	Heads         []caption
	Boxes         []box
	Curves        []curve
	counts        [3]int
}

type caption struct {
	X, Y int
	Text string
}

type box struct {
	X, Y, Width, Height int
	TextX, TextY, SubY  int
	Text, Sub, Full     string
	Mono, Deny          bool
	URL                 string
}

type curve struct {
	Path string
	Deny bool
}

// The measures of a drawing. Rows are lower where there are many.
const (
	boxWidth   = 300
	gap        = 110
	margin     = 8
	headRoom   = 40
	tall, high = 46, 36
	flat, low  = 30, 24
	manyRows   = 16
)

// column is one of the three, while it is laid out.
type column struct {
	nodes []node
	index map[string]int
}

type node struct {
	box
	near  []int // grants that it belongs to, by their place in the drawing
	at    float64
	order float64
}

// draw lays out grants in their order, with who and roles as near to them as they
// go, and few crossings.
func draw(grants []insight.Grant, closer bool) drawing {
	who, roles := column{index: map[string]int{}}, column{index: map[string]int{}}
	middle := make([]node, len(grants))
	var d drawing
	for i, g := range grants {
		middle[i].box = box{Text: g.Name, Full: "Grant " + g.Name, Sub: subOf(g), Deny: g.Deny, URL: focusURL("grant", g.Name)}
		for _, n := range g.Who {
			who.add(n.Kind+":"+n.Name, i, box{Text: n.Name, Full: kindWords[n.Kind] + " " + n.Name, Sub: noteOf(n), URL: focusURL(n.Kind, n.Name)})
		}
		for _, b := range roleBoxes(g, closer) {
			roles.add(b.URL, i, b)
		}
	}
	step, height := tall, high
	if max(len(who.nodes), len(grants), len(roles.nodes)) > manyRows {
		step, height = flat, low
	}
	settle(&who, middle, &roles, float64(step))
	most := 0.0
	for c, nodes := range [][]node{who.nodes, middle, roles.nodes} {
		d.counts[c] = len(nodes)
		x := margin + c*(boxWidth+gap)
		for _, n := range nodes {
			most = max(most, n.at)
			d.Boxes = append(d.Boxes, n.place(x, headRoom+int(n.at), height, c == 2))
		}
	}
	d.Width, d.Height = 2*margin+3*boxWidth+2*gap, headRoom+int(most)+step
	for c, head := range []string{"Groups and people", "Grants, in the order of the file", "Roles"} {
		d.Heads = append(d.Heads, caption{margin + c*(boxWidth+gap), 22, head})
	}
	d.Curves = append(curves(who.nodes, middle, margin+boxWidth, height, true), curves(roles.nodes, middle, margin+2*boxWidth+gap, height, false)...)
	return d
}

func (c *column) add(key string, grant int, b box) {
	i, known := c.index[key]
	if !known {
		i = len(c.nodes)
		c.index[key] = i
		c.nodes = append(c.nodes, node{box: b})
	}
	c.nodes[i].near = append(c.nodes[i].near, grant)
}

// settle gives each node its height: the middle in its order, the sides by where
// their neighbours are, and again once all have moved.
func settle(who *column, middle []node, roles *column, step float64) {
	for i := range middle {
		middle[i].at = float64(i) * step
	}
	for range 3 {
		sides := make([][]float64, len(middle))
		for _, c := range []*column{who, roles} {
			c.arrange(middle, step)
			for _, n := range c.nodes {
				for _, g := range n.near {
					sides[g] = append(sides[g], n.at)
				}
			}
		}
		for i := range middle {
			middle[i].order = mean(sides[i], middle[i].at)
		}
		spread(middle, step)
	}
	least := 0.0
	for _, nodes := range [][]node{who.nodes, middle, roles.nodes} {
		for _, n := range nodes {
			least = min(least, n.at)
		}
	}
	for _, nodes := range [][]node{who.nodes, middle, roles.nodes} {
		for i := range nodes {
			nodes[i].at -= least
		}
	}
}

// arrange orders a side by the mean of its neighbours and spreads it.
func (c *column) arrange(middle []node, step float64) {
	for i := range c.nodes {
		var near []float64
		for _, g := range c.nodes[i].near {
			near = append(near, middle[g].at)
		}
		c.nodes[i].order = mean(near, 0)
	}
	slices.SortStableFunc(c.nodes, func(a, b node) int { return cmp.Compare(a.order, b.order) })
	spread(c.nodes, step)
}

// spread puts each node as near to its order as all of them together can be, a step
// apart at least: pools of neighbours that want the same place share its middle
// (pool adjacent violators).
func spread(nodes []node, step float64) {
	type pool struct {
		sum   float64
		count int
	}
	var pools []pool
	for i, n := range nodes {
		pools = append(pools, pool{n.order - float64(i)*step, 1})
		for k := len(pools) - 1; k > 0 && pools[k-1].sum/float64(pools[k-1].count) >= pools[k].sum/float64(pools[k].count); k-- {
			pools[k-1] = pool{pools[k-1].sum + pools[k].sum, pools[k-1].count + pools[k].count}
			pools = pools[:k]
		}
	}
	i := 0
	for _, p := range pools {
		for range p.count {
			nodes[i].at = p.sum/float64(p.count) + float64(i)*step
			i++
		}
	}
}

func mean(values []float64, fallback float64) float64 {
	if len(values) == 0 {
		return fallback
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// place fits a node's box and its text into the drawing.
func (n node) place(x, y, height int, mono bool) box {
	b := n.box
	b.X, b.Y, b.Width, b.Height, b.Mono = x, y, boxWidth, height, mono
	b.TextX = x + 12
	letters := 42
	if mono {
		letters = 38
	}
	b.Text = fit(b.Text, letters)
	if height == low { // one line
		b.TextY, b.Sub = y+16, ""
		return b
	}
	b.TextY = y + 22
	if b.Sub != "" {
		b.TextY, b.SubY, b.Sub = y+15, y+30, fit(b.Sub, 52)
	}
	return b
}

// fit shortens a text in its middle: beginnings and ends tell names apart.
func fit(text string, most int) string {
	n := utf8.RuneCountInString(text)
	if n <= most {
		return text
	}
	runes := []rune(text)
	head := most * 3 / 5
	return string(runes[:head]) + "…" + string(runes[n-(most-head-1):])
}

// curves joins one side with the middle. Left sides end where the middle begins.
func curves(side, middle []node, x int, height int, left bool) []curve {
	var all []curve
	half := height / 2
	for _, n := range side {
		for _, g := range n.near {
			from, to := n, middle[g]
			if !left {
				from, to = middle[g], n
			}
			x1, x2 := x, x+gap
			y1, y2 := headRoom+int(from.at)+half, headRoom+int(to.at)+half
			m := (x1 + x2) / 2
			all = append(all, curve{fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, m, y1, m, y2, x2, y2), middle[g].Deny})
		}
	}
	return all
}

func noteOf(n insight.Node) string {
	if n.Kind == "group" || kindWords[n.Kind] == n.Name {
		return ""
	}
	return kindWords[n.Kind]
}

func subOf(g insight.Grant) string {
	terms := strings.Join(g.Terms, ", ")
	if g.Deny {
		return strings.TrimSuffix("refuses, whatever others give; "+terms, "; ")
	}
	return terms
}

// roleBoxes are the roles of a grant. Many become one box a name, which leads to
// the grant, where they are shown one by one.
func roleBoxes(g insight.Grant, closer bool) []box {
	most := maxBoxes
	if closer {
		most = maxCloser
	}
	var boxes []box
	if len(g.Roles) <= most {
		for _, n := range g.Roles {
			boxes = append(boxes, box{Text: n.Name, Full: kindWords[n.Kind] + " " + n.Name, URL: focusURL(n.Kind, n.Name)})
		}
		return boxes
	}
	count := map[string]int{}
	var names []string
	for _, n := range g.Roles {
		_, name, _ := strings.Cut(n.Name, "/")
		if count[name]++; count[name] == 1 {
			names = append(names, name)
		}
	}
	if len(names) > most {
		return []box{{Text: counted(len(g.Roles), "role"), Full: counted(len(g.Roles), "role") + " of the grant " + g.Name, URL: focusURL("grant", g.Name)}}
	}
	for _, name := range names {
		text := fmt.Sprintf("%s in %s", name, counted(count[name], "account"))
		boxes = append(boxes, box{Text: text, Full: text + ", by the grant " + g.Name, URL: focusURL("grant", g.Name) + "#" + name})
	}
	return boxes
}
