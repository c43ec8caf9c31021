package software.amazon.kinesis.retrieval.polling;

import java.lang.reflect.Proxy;
import java.time.Instant;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;

/**
 * What the daemon's class path makes of the pauses between two reads. Prints where the controller comes from which the
 * KCL's own settings hold; then, for each argument RECORDS:BEHIND:MILLIS (the answer's, `-` for null; `failed`: none, and
 * how long it took), the pause after it. The first argument is the group of the shard and the time by the clock at which it
 * begins, GROUP:MILLIS.
 */
public final class Pauses {
    public static void main(String[] arguments) {
        ClassLoader loader = Pauses.class.getClassLoader();
        Object client = Proxy.newProxyInstance(loader, new Class<?>[] {KinesisAsyncClient.class}, (self, method, given) -> null);
        SleepTimeController controller = new PollingConfig("stream", (KinesisAsyncClient) client).sleepTimeController();
        System.out.println(controller.getClass().getProtectionDomain().getCodeSource().getLocation().getPath());

        SleepTimeControllerConfig first =
            SleepTimeControllerConfig.builder().lastSuccessfulCall(Instant.now()).idleMillisBetweenCalls(250).build();
        long pause = controller.getSleepTimeMillis(first);
        System.out.println(125 <= pause && pause <= 375);

        String[] begin = arguments[0].split(":");
        long now = Long.parseLong(begin[1]);
        KinesisSleepTimeController.Shard shard = new KinesisSleepTimeController.Shard(now, Integer.parseInt(begin[0]));
        for (int place = 1; place < arguments.length; place++) {
            String answer = arguments[place];
            String[] parts = answer.split(":");
            boolean failed = parts[0].equals("failed");
            now += Long.parseLong(parts[2]);
            SleepTimeControllerConfig last = SleepTimeControllerConfig.builder()
                .lastSuccessfulCall(failed ? null : Instant.now())
                .idleMillisBetweenCalls(250)
                .lastRecordsCount(failed || parts[0].equals("-") ? null : Integer.valueOf(parts[0]))
                .lastMillisBehindLatest(failed || parts[1].equals("-") ? null : Long.valueOf(parts[1]))
                .build();
            pause = shard.pause(last, now);
            System.out.println(pause);
            now += pause;
        }
    }
}
