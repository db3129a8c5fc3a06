// Prints the newest value of every key of a feed, one KEY<TAB>VALUE a line; or that of one key.
//
//     java -cp 'libs/*' TableFromLatest.java BOOTSTRAP [PREFIX [KEY]]
//
// Needs a JDK 17 or later, and in libs/ org.apache.kafka:kafka-clients with what it depends on.

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.utils.Utils;

public class TableFromLatest {

    public static void main(String[] arguments) {
        String topic = (arguments.length > 1 ? arguments[1] : "") + "latest";
        String key = arguments.length > 2 ? arguments[2] : null;
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", arguments[0],
                // The default of this client shows records of transactions that were aborted.
                "isolation.level", "read_committed",
                // There is no group: positions are those of the table that is built.
                "enable.auto.commit", false,
                "auto.offset.reset", "none",
                "key.deserializer", StringDeserializer.class,
                "value.deserializer", StringDeserializer.class);
        try (var consumer = new KafkaConsumer<String, String>(settings)) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                    .map(info -> new TopicPartition(topic, info.partition()))
                    .filter(at -> key == null || at.partition() == partitionOf(key, consumer, topic))
                    .toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            var table = new TreeMap<String, String>();
            // Offsets have holes, so the position is compared with the end and records are not
            // counted. To follow the table, poll for ever.
            while (partitions.stream().anyMatch(at -> consumer.position(at) < ends.get(at))) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    if (!isValue(record.key())) {
                        continue;
                    }
                    if (record.value() == null) {
                        table.remove(record.key());
                    } else {
                        table.put(record.key(), record.value());
                    }
                }
            }
            if (key != null) {
                table.keySet().retainAll(List.of(key));
            }
            table.forEach((each, value) -> System.out.println(each + "\t" + value));
        }
    }

    /** Other keys belong to the feed itself, such as watermark:0 and log:identity. */
    static boolean isValue(String key) {
        return key.startsWith("price:") || key.startsWith("token:") || key.startsWith("balance:");
    }

    /** The contract's id places price:ID and token:ID, the user's id places balance:USER:ID. */
    static int partitionOf(String key, KafkaConsumer<?, ?> consumer, String topic) {
        byte[] id = key.split(":")[1].getBytes();
        return Utils.toPositive(Utils.murmur2(id)) % consumer.partitionsFor(topic).size();
    }
}
