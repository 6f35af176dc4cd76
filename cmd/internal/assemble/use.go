package assemble

import (
	"context"
	"sync"
	"sync/atomic"
)

// use counts who uses a generation, so that its end is known. It costs a request
// two additions and no lock. The zero value is a generation that serves.
type use struct {
	users   atomic.Int64
	retired atomic.Bool
	once    sync.Once
	drained chan struct{} // made by retire
}

func (u *use) enter() { u.users.Add(1) }

func (u *use) leave() {
	if u.users.Add(-1) == 0 && u.retired.Load() {
		u.once.Do(func() { close(u.drained) })
	}
}

// retire says that nobody new comes; the channel is closed when the last one has gone.
func (u *use) retire() <-chan struct{} {
	u.drained = make(chan struct{})
	u.enter() // so that it is not over before this returns
	u.retired.Store(true)
	u.leave()
	return u.drained
}

// background is the goroutines of a daemon while it serves.
type background struct {
	mu    sync.Mutex
	ctx   context.Context // nil while it does not serve
	group sync.WaitGroup
}

// begin lets goroutines run; end stops them and waits.
func (b *background) begin(ctx context.Context) (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	within, cancel := context.WithCancel(ctx)
	b.ctx = within
	return func() {
		b.mu.Lock()
		b.ctx = nil
		b.mu.Unlock()
		cancel()
		b.group.Wait()
	}
}

// run starts a goroutine that ends with stop, or with the daemon; it reports
// whether the daemon serves.
func (b *background) run(f func(context.Context)) (stop func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx == nil {
		return nil, false
	}
	ctx, cancel := context.WithCancel(b.ctx)
	b.group.Go(func() {
		defer cancel()
		f(ctx)
	})
	return cancel, true
}

// start runs what the providers of a generation do in the background, unless it
// runs already.
func (b *background) start(g *generation) {
	for _, u := range g.upstreams {
		if u.run != nil && u.stop == nil {
			u.stop, _ = b.run(u.run)
		}
	}
}
