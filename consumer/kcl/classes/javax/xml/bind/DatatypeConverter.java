package javax.xml.bind;

import java.util.Base64;

/**
 * The one method of JAXB that the KCL calls, when it logs an aggregated record that it cannot take apart. Java 11 dropped
 * JAXB; without this class the error escapes and the KCL skips the whole batch around such a record.
 */
public final class DatatypeConverter {
    private DatatypeConverter() {}

    public static String printBase64Binary(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }
}
