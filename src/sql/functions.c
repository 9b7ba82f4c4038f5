// SPDX-License-Identifier: Apache-2.0
//
// SQL functions for addresses kept as text, IPv4 and IPv6:
//   ip_prefix(ip, bits)  the network of the first `bits` bits: ip_prefix('10.1.2.3', 8) =
//                        '10.0.0.0/8'
//   ip_in(ip, cidr)      whether ip is in the network: ip_in('10.1.2.3', '10.0.0.0/8') = true
// NULL when an argument is NULL, `ip` is not an address or has no such bits, or `cidr` is not a
// network. A constant that can never make sense is refused when the statement is bound. Rows raise
// no errors: DuckDB may ask about rows that another condition leaves out, and about dictionary
// entries that no row has.
#include "base/ip.h"
#include "sql/engine_internal.h"

static Str text_at(duckdb_vector vector, idx_t row)
{
    duckdb_string_t *s = (duckdb_string_t *)duckdb_vector_get_data(vector) + row;
    return (Str){.ptr = duckdb_string_t_data(s), .len = duckdb_string_t_length(*s)};
}

static bool is_valid(duckdb_vector vector, idx_t row)
{
    uint64_t *validity = duckdb_vector_get_validity(vector);
    return validity == NULL || duckdb_validity_row_is_valid(validity, row);
}

static void set_null(duckdb_vector out, idx_t row)
{
    duckdb_vector_ensure_validity_writable(out);
    duckdb_validity_set_row_invalid(duckdb_vector_get_validity(out), row);
}

static void ip_prefix_function(duckdb_function_info info, duckdb_data_chunk input,
                               duckdb_vector out)
{
    duckdb_vector ips = duckdb_data_chunk_get_vector(input, 0);
    duckdb_vector bits = duckdb_data_chunk_get_vector(input, 1);
    const int32_t *bit_values = duckdb_vector_get_data(bits);
    const idx_t count = duckdb_data_chunk_get_size(input);

    (void)info;
    for (idx_t i = 0; i < count; i++) {
        IpAddress ip;
        if (!is_valid(ips, i) || !is_valid(bits, i) || !ip_parse(text_at(ips, i), &ip) ||
            bit_values[i] < 0 || bit_values[i] > (int32_t)ip_bits(ip)) {
            set_null(out, i);
            continue;
        }
        char text[IP_TEXT_MAX];
        const uint32_t kept = (uint32_t)bit_values[i];
        const size_t len = ip_format_prefix(ip_mask(ip, kept), kept, text);
        duckdb_vector_assign_string_element_len(out, i, text, len);
    }
}

static void ip_in_function(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector out)
{
    duckdb_vector ips = duckdb_data_chunk_get_vector(input, 0);
    duckdb_vector cidrs = duckdb_data_chunk_get_vector(input, 1);
    bool *results = duckdb_vector_get_data(out);
    const idx_t count = duckdb_data_chunk_get_size(input);
    Str last = {0}; // the network is nearly always the same one
    bool last_is_network = false;
    IpPrefix network = {0};

    (void)info;
    for (idx_t i = 0; i < count; i++) {
        IpAddress ip;
        if (!is_valid(ips, i) || !is_valid(cidrs, i) || !ip_parse(text_at(ips, i), &ip)) {
            set_null(out, i);
            continue;
        }
        const Str cidr = text_at(cidrs, i);
        if (last.ptr == NULL || !str_eq(cidr, last)) {
            last_is_network = ip_parse_prefix(cidr, &network);
            last = cidr;
        }
        if (last_is_network) {
            results[i] = ip_prefix_contains(network, ip);
        } else {
            set_null(out, i);
        }
    }
}

// --- constants ---------------------------------------------------------------------------------

// The second argument when it is a constant other than NULL; NULL when it is not. To be destroyed.
static duckdb_value constant_argument(duckdb_bind_info info)
{
    duckdb_client_context context = NULL;
    duckdb_value value = NULL;
    duckdb_expression expression = duckdb_scalar_function_bind_get_argument(info, 1);
    duckdb_scalar_function_get_client_context(info, &context);
    if (duckdb_expression_is_foldable(expression)) {
        duckdb_error_data error = duckdb_expression_fold(context, expression, &value);
        duckdb_destroy_error_data(&error); // DuckDB will find the same, and say so
    }
    duckdb_destroy_client_context(&context);
    duckdb_destroy_expression(&expression);
    if (value != NULL && duckdb_is_null_value(value)) {
        duckdb_destroy_value(&value);
    }
    return value;
}

static void ip_prefix_bind(duckdb_bind_info info)
{
    duckdb_value bits = constant_argument(info);
    if (bits != NULL && (duckdb_get_int64(bits) < 0 || duckdb_get_int64(bits) > 128)) {
        duckdb_scalar_function_bind_set_error(
            info, "ip_prefix: a prefix has 0 to 32 bits (IPv4) or 0 to 128 (IPv6)");
    }
    duckdb_destroy_value(&bits);
}

static void ip_in_bind(duckdb_bind_info info)
{
    IpPrefix network;
    duckdb_value cidr = constant_argument(info);
    char *text = cidr != NULL ? duckdb_get_varchar(cidr) : NULL;
    if (text != NULL && !ip_parse_prefix((Str){text, strlen(text)}, &network)) {
        duckdb_scalar_function_bind_set_error(
            info, "ip_in: the second argument must be a network such as '10.0.0.0/8'");
    }
    duckdb_free(text);
    duckdb_destroy_value(&cidr);
}

// --- registration ------------------------------------------------------------------------------

typedef struct Function {
    const char *name;
    duckdb_type second, result; // types; the first argument is text
    duckdb_scalar_function_bind_t bind;
    duckdb_scalar_function_t run;
} Function;

static bool register_function(duckdb_connection connection, const Function *f)
{
    duckdb_scalar_function function = duckdb_create_scalar_function();
    duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_logical_type second = duckdb_create_logical_type(f->second);
    duckdb_logical_type result = duckdb_create_logical_type(f->result);

    duckdb_scalar_function_set_name(function, f->name);
    duckdb_scalar_function_add_parameter(function, text);
    duckdb_scalar_function_add_parameter(function, second);
    duckdb_scalar_function_set_return_type(function, result);
    // NULL for what is no address, not only for NULL.
    duckdb_scalar_function_set_special_handling(function);
    duckdb_scalar_function_set_bind(function, f->bind);
    duckdb_scalar_function_set_function(function, f->run);
    const bool ok = duckdb_register_scalar_function(connection, function) == DuckDBSuccess;
    duckdb_destroy_scalar_function(&function);
    duckdb_destroy_logical_type(&text);
    duckdb_destroy_logical_type(&second);
    duckdb_destroy_logical_type(&result);
    return ok;
}

Status sql_register_functions(duckdb_connection connection, Err *err)
{
    static const Function functions[] = {
        {"ip_prefix", DUCKDB_TYPE_INTEGER, DUCKDB_TYPE_VARCHAR, ip_prefix_bind, ip_prefix_function},
        {"ip_in", DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_BOOLEAN, ip_in_bind, ip_in_function}};
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        // The result is checked: a clash with a function of DuckDB's own would silently run that
        // one.
        if (!register_function(connection, &functions[i])) {
            return err_set(err, ERR_INTERNAL, "DuckDB: cannot register %s", functions[i].name);
        }
    }
    return OK;
}
