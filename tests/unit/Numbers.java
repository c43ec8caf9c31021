import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Member;
import java.lang.reflect.Modifier;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/** Compares the class ExtendedSequenceNumber of two class paths, given as folder or jar each; prints how often and what differs. */
public final class Numbers {
    private static final String NAME = "software.amazon.kinesis.retrieval.kpl.ExtendedSequenceNumber";

    public static void main(String[] paths) throws Exception {
        List<Class<?>> kinds = new ArrayList<>();
        for (String path : paths) {
            URL[] urls = {Path.of(path).toUri().toURL()};
            kinds.add(new URLClassLoader(urls, ClassLoader.getPlatformClassLoader()).loadClass(NAME));
        }
        Class<?> ours = kinds.get(0);
        Class<?> theirs = kinds.get(1);
        report(api(ours), api(theirs), "api");

        List<String> texts = new ArrayList<>(List.of("LATEST", "SHARD_END", "TRIM_HORIZON", "AT_TIMESTAMP", "", "0", "00", "007", "7", "-1", "+1", "a"));
        texts.addAll(List.of("9", "10", "99", "100", "\u0663", "1\u0663", "latest", " 1", "9223372036854775807", "9223372036854775808"));
        texts.add(null);
        Random random = new Random(1);
        for (int count = 0; count < 60; count++) {
            StringBuilder digits = new StringBuilder().append((char) ('1' + random.nextInt(9)));
            int length = 54 + random.nextInt(3);
            while (digits.length() < length) {
                digits.append((char) ('0' + random.nextInt(10)));
            }
            texts.add(digits.toString());
            texts.add(digits.substring(0, length - 1) + random.nextInt(10));
        }
        long[] subs = {-1, 0, 1, Long.MAX_VALUE};
        int compared = 0;
        for (String text : texts) {
            for (long sub : subs) {
                Object[] one = {make(ours, text, sub), make(theirs, text, sub)};
                for (String name : List.of("toString", "isShardEnd", "isSentinelCheckpoint", "sequenceNumber", "subSequenceNumber")) {
                    report(call(one[0], name), call(one[1], name), text + " " + sub + " " + name);
                }
                for (String other : texts) {
                    for (long otherSub : subs) {
                        Object[] two = {make(ours, other, otherSub), make(theirs, other, otherSub)};
                        report(order(one[0], two[0]), order(one[1], two[1]), text + " " + sub + " against " + other + " " + otherSub);
                        report(one[0].equals(two[0]), one[1].equals(two[1]), text + " equals " + other);
                        report(!one[0].equals(two[0]) || one[0].hashCode() == two[0].hashCode(), true, text + " hash");
                        compared++;
                    }
                }
            }
        }
        System.out.println(compared);
    }

    private static Object make(Class<?> kind, String text, long sub) throws Exception {
        return kind.getConstructor(String.class, Long.class).newInstance(text, sub);
    }

    private static Object call(Object on, String name) throws Exception {
        try {
            return on.getClass().getMethod(name).invoke(on);
        } catch (InvocationTargetException error) {
            return name.startsWith("is") && error.getCause() instanceof NullPointerException ? false : error.getCause().getClass();
        }
    }

    @SuppressWarnings("unchecked")
    private static Object order(Object one, Object two) {
        try {
            return Integer.signum(((Comparable<Object>) one).compareTo(two));
        } catch (RuntimeException error) {
            return error.getClass();
        }
    }

    private static Set<String> api(Class<?> kind) {
        Set<String> found = new TreeSet<>();
        Stream.of(kind.getDeclaredMethods(), kind.getDeclaredFields(), kind.getDeclaredConstructors())
            .flatMap(Stream::of)
            .filter(member -> Modifier.isPublic(((Member) member).getModifiers()))
            .forEach(member -> found.add(member.toString()));
        return found;
    }

    private static void report(Object ours, Object theirs, String what) {
        if (!Objects.equals(ours, theirs)) {
            System.out.println(what + ": " + ours + " instead of " + theirs);
        }
    }
}
