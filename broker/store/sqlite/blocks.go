package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/broker/limit"
)

// PutBlock implements limit.BlockStore.
func (s *Store) PutBlock(ctx context.Context, b limit.Block) error {
	return s.exec(ctx, `INSERT INTO blocks (network, since, until, count, what) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT DO UPDATE SET since = ?2, until = ?3, count = ?4, what = ?5 WHERE until < ?3`,
		b.Network.Masked().String(), micros(b.Since), micros(b.Until), b.Count, b.What)
}

// Blocks implements limit.BlockStore.
func (s *Store) Blocks(ctx context.Context, now time.Time, most int) (found []limit.Block, err error) {
	err = s.list(ctx, readBlocks, []any{micros(now), most}, func(rows *sql.Rows) error {
		var b limit.Block
		var network string
		var since, until int64
		err := rows.Scan(&network, &since, &until, &b.Count, &b.What)
		b.Since, b.Until = fromMicros(since), fromMicros(until)
		parsed, failed := netip.ParsePrefix(network)
		b.Network = parsed
		found = append(found, b)
		return errors.Join(err, failed)
	})
	return found, err
}

// ClearBlock implements limit.BlockStore.
func (s *Store) ClearBlock(ctx context.Context, network netip.Prefix) (int, error) {
	text := ""
	if network.IsValid() {
		text = network.Masked().String()
	}
	n, err := s.affect(ctx, "DELETE FROM blocks WHERE ?1 = '' OR network = ?1", text)
	return int(n), err
}
