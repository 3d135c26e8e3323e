// The library of Centrifugo, over Redis: `centrifuge --port N [--cluster unix:PATH] [--history N]`. Each client is
// subscribed to one channel with its connection, and may publish to it. Prints "ready PORT".
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/centrifugal/centrifuge"
)

const channel = "all"

func useRedis(node *centrifuge.Node, address string) error {
	// The library takes "unix://PATH".
	if strings.HasPrefix(address, "unix:") {
		address = "unix://" + strings.TrimPrefix(address, "unix:")
	}
	shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: address})
	if err != nil {
		return err
	}
	broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{
		UseStreams: true,
		Shards:     []*centrifuge.RedisShard{shard},
	})
	if err != nil {
		return err
	}
	node.SetBroker(broker)
	return nil
}

func main() {
	port := flag.Int("port", 0, "port, 0: a free one")
	cluster := flag.String("cluster", "", "the address of Redis; none: one server alone")
	history := flag.Int("history", 0, "messages that the channel keeps")
	flag.Parse()

	config := centrifuge.DefaultConfig
	config.ClientQueueMaxSize = 64 << 20
	node, err := centrifuge.New(config)
	if err != nil {
		log.Fatal(err)
	}
	publication := centrifuge.PublishOptions{HistorySize: *history}
	if *history > 0 {
		publication.HistoryTTL = 5 * time.Minute
	}
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{UserID: "user"},
			Subscriptions: map[string]centrifuge.SubscribeOptions{channel: {Recover: *history > 0}},
		}, nil
	})
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnPublish(func(_ centrifuge.PublishEvent, reply centrifuge.PublishCallback) {
			reply(centrifuge.PublishReply{Options: publication}, nil)
		})
	})
	if *cluster != "" {
		if err := useRedis(node, *cluster); err != nil {
			log.Fatal(err)
		}
	}
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/", centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{UseWriteBufferPool: true}))
	fmt.Printf("ready %d\n", listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, nil))
}
