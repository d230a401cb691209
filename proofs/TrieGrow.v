(* TrieGrow: hanging a new leaf, growing one, trimming one, taking one away (trie_publish.cpp, trie_structure.cpp):
   what each does to the map, and that it leaves a trie. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes TrieStructure TrieWalk.
Import ListNotations.

Section Grow.
Variable P : nat.
Hypothesis P_positive : 0 < P.

(* ---- leaves and children in terms of edges *)
Definition leaf (ns : list node) (s : path) : Prop := forall a, ~ edge_of ns (s ++ [a]).
Definition branching (ns : list node) (s : path) : Prop :=
  exists a b, a <> b /\ edge_of ns (s ++ [a]) /\ edge_of ns (s ++ [b]).

Lemma edge_child ns s a : well_formed P ns -> a_node s ns -> edge_of ns (s ++ [a]) ->
  exists c, In c (children s ns) /\ prefix (s ++ [a]) (n_path c).
Proof.
  intros W A (n & Hn & Pn & L). rewrite app_length in L. cbn in L.
  assert (Ps : prefix s (n_path n)) by (eapply prefix_trans; [apply prefix_app|exact Pn]).
  exists n. split; auto. apply in_children. repeat split; auto.
  pose proof (prefix_length _ _ Pn) as Ln. rewrite app_length in Ln. cbn in Ln.
  destruct (Nat.eq_dec (start n) (length s)) as [E|E]; auto. exfalso.
  destruct A as [->|I]; [cbn in *; lia|]. apply in_paths in I. destruct I as (m & Hm & Em).
  assert (m = n).
  { apply (wf_disjoint P ns W m n s); auto; [|split; auto; lia]. rewrite <- Em. apply (on_own_edge P), (wf_shape P ns W m Hm). }
  subst m. rewrite Em in Ln. lia.
Qed.
Lemma child_edge ns s c : well_formed P ns -> In c (children s ns) ->
  exists a, edge_of ns (s ++ [a]) /\ prefix (s ++ [a]) (n_path c).
Proof.
  intros W I. apply in_children in I. destruct I as (Hc & Sc & Pc).
  pose proof (wf_shape P ns W c Hc) as (S & _). destruct (snoc_prefix s (n_path c) Pc) as (a & Pa).
  { unfold stop in S. lia. }
  exists a. split; auto. exists c. repeat split; auto. rewrite app_length. cbn. lia.
Qed.
Lemma is_leaf_spec ns s : well_formed P ns -> a_node s ns -> is_leaf s ns = true <-> leaf ns s.
Proof.
  intros W A. unfold is_leaf. destruct (children s ns) as [|c cs] eqn:C.
  - split; auto. intros _ a E. destruct (edge_child ns s a W A E) as (c & I & _). rewrite C in I. destruct I.
  - split; [discriminate|]. intros L. exfalso. destruct (child_edge ns s c W) as (a & E & _); [rewrite C; left; auto|].
    apply (L a E).
Qed.
Lemma two_children_branch ns s : well_formed P ns -> 2 <= length (children s ns) -> branching ns s.
Proof.
  intros W L. destruct (children s ns) as [|c [|d cs]] eqn:C; cbn in L; try lia.
  assert (Ic : In c (children s ns)) by (rewrite C; left; auto).
  assert (Id : In d (children s ns)) by (rewrite C; right; left; auto).
  destruct (child_edge ns s c W Ic) as (a & Ea & Pa). destruct (child_edge ns s d W Id) as (b & Eb & Pb).
  exists a, b. repeat split; auto. intros ->. apply in_children in Ic, Id. destruct Ic as (Hc & Sc & _), Id as (Hd & Sd & _).
  assert (c = d).
  { apply (wf_disjoint P ns W c d (s ++ [b])); auto; split; auto; rewrite app_length; cbn; lia. }
  subst d. assert (D : NoDup (children s ns)).
  { unfold children. apply NoDup_filter. pose proof (wf_nodup P ns W) as N. unfold paths in N. apply NoDup_map_inv in N. auto. }
  rewrite C in D. inversion D as [|? ? N _]; subst. apply N. left. auto.
Qed.
Lemma leaf_no_child ns n x : well_formed P ns -> In n ns -> leaf ns (n_path n) -> In x ns -> parent x = n_path n -> start x = 0.
Proof.
  intros W Hn L Hx E. pose proof (wf_shape P ns W x Hx) as Sx. pose proof (wf_shape P ns W n Hn) as Sn.
  exfalso. assert (Ic : In x (children (n_path n) ns)).
  { apply in_children. repeat split; auto; [rewrite <- E; symmetry; apply (parent_length P); auto|].
    rewrite <- E. apply prefix_firstn. }
  destruct (child_edge ns _ x W Ic) as (a & Ea & _). apply (L a Ea).
Qed.
Lemma leaf_end ns n q : well_formed P ns -> In n ns -> leaf ns (n_path n) -> prefix (n_path n) q -> edge_of ns q -> q = n_path n.
Proof.
  intros W Hn L Pn E. destruct (Nat.eq_dec (length q) (length (n_path n))) as [Q|Q].
  - symmetry. apply prefix_same_length; auto. lia.
  - exfalso. pose proof (prefix_length _ _ Pn). destruct (snoc_prefix (n_path n) q Pn) as (a & Pa); [lia|].
    apply (L a). eapply edge_of_prefix; eauto. destruct (n_path n); discriminate.
Qed.

(* ---- a run of pages *)
Lemma ceiling_spec len : ceiling_pages P len = len / P + (if len mod P =? 0 then 0 else 1).
Proof.
  unfold ceiling_pages. pose proof (Nat.div_mod len P). pose proof (Nat.mod_upper_bound len P).
  destruct (Nat.eqb_spec (len mod P) 0) as [E|E].
  - symmetry. rewrite Nat.add_0_r. apply Nat.div_unique with (r := P - 1); lia.
  - symmetry. apply Nat.div_unique with (r := len mod P - 1); lia.
Qed.
Definition runs (tokens : path) (depth : nat) (ps : list page) : Prop :=
  length ps = ceiling_pages P (length tokens) - depth / P.
Lemma run_full tokens depth ps : runs tokens depth ps -> depth <= length tokens ->
  length (full_of P tokens depth ps) = length tokens / P - depth / P.
Proof.
  unfold runs, full_of. intros R L. rewrite firstn_length, R, ceiling_spec. pose proof (div_le P P_positive depth (length tokens) L).
  destruct (length tokens mod P =? 0); lia.
Qed.
Lemma run_tail tokens depth ps : tail_of P tokens depth ps <> None -> length tokens mod P <> 0.
Proof. unfold tail_of. destruct (Nat.eqb_spec (length tokens mod P) 0); auto. Qed.
Lemma run_tail_some tokens depth ps : runs tokens depth ps -> depth <= length tokens -> length tokens mod P <> 0 ->
  tail_of P tokens depth ps <> None.
Proof.
  unfold runs, tail_of. intros R L M. destruct (Nat.eqb_spec (length tokens mod P) 0); [lia|]. apply nth_error_Some.
  rewrite R, ceiling_spec. pose proof (div_le P P_positive depth (length tokens) L).
  destruct (Nat.eqb_spec (length tokens mod P) 0); lia.
Qed.
Lemma run_count p tokens depth ps : runs tokens depth ps -> depth <= length tokens ->
  count p (full_of P tokens depth ps) + count p (match tail_of P tokens depth ps with Some t => [t] | None => [] end) = count p ps.
Proof.
  unfold runs, full_of, tail_of. intros R L. rewrite ceiling_spec in R.
  pose proof (div_le P P_positive depth (length tokens) L). set (m := length tokens / P - depth / P) in *.
  destruct (Nat.eqb_spec (length tokens mod P) 0) as [E|E].
  - rewrite firstn_all2 by lia. cbn. lia.
  - rewrite <- (count_split p m ps). f_equal. assert (Lm : length (skipn m ps) = 1) by (rewrite skipn_length; lia).
    assert (Em : nth_error ps m = nth_error (skipn m ps) 0) by (rewrite nth_error_skipn; f_equal; lia).
    rewrite Em. destruct (skipn m ps) as [|x [|y l]]; cbn in Lm; try lia. reflexivity.
Qed.

(* The pages of a run, by the sequences that end at their last tokens. *)
Definition run_entry (tokens : path) (depth : nat) (ps : list page) (k : path) (p : page) : Prop :=
  prefix k tokens /\ depth < length k /\ length k mod P = 0 /\ nth_error ps (length k / P - depth / P - 1) = Some p.
Lemma run_entry_full tokens depth ps k : prefix k tokens -> depth < length k -> length k mod P = 0 ->
  nth_error (full_of P tokens depth ps) (length k / P - depth / P - 1) = nth_error ps (length k / P - depth / P - 1).
Proof.
  intros Pk L M. unfold full_of. apply nth_error_firstn. pose proof (div_lt_aligned P P_positive depth (length k) M L).
  pose proof (div_le P P_positive _ _ (prefix_length _ _ Pk)). lia.
Qed.

(* ---- attach_run, a new leaf *)
Lemma filter_true (ns : list node) : filter (fun _ => true) ns = ns.
Proof. induction ns; cbn; congruence. Qed.

Theorem new_leaf_ok ns s tokens ps : well_formed P ns -> a_node s ns -> prefix s tokens -> length s < length tokens ->
  ~ edge_of ns (firstn (S (length s)) tokens) -> runs tokens (length s) ps ->
  let ns' := new_leaf P tokens (length s) ps :: ns in
  well_formed P ns' /\
  (forall q, edge_of ns' q <-> edge_of ns q \/ (prefix q tokens /\ length s < length q)) /\
  (forall k p, full_entry P ns' k p <-> full_entry P ns k p \/ run_entry tokens (length s) ps k p) /\
  (forall p, pages_count p ns' = pages_count p ns + count p ps).
Proof.
  intros W A Ps L N R. set (n := new_leaf P tokens (length s) ps).
  assert (Sn : shape_ok P n).
  { unfold shape_ok, stop; cbn. repeat split; auto; [apply run_full; auto; lia|]. apply run_tail. }
  assert (Fresh : forall q, on_edge n q -> ~ edge_of ns q).
  { intros q (Pq & Lq) E. change (n_path n) with tokens in Pq. change (start n) with (length s) in Lq. apply N. eapply edge_of_prefix; eauto.
    - apply (prefix_both _ _ tokens); auto using prefix_firstn. rewrite firstn_length. lia.
    - destruct tokens; [cbn in L; lia|discriminate]. }
  cbv zeta. split; [|split; [|split]].
  - change (n :: ns) with ([n] ++ ns). rewrite <- (filter_true ns). apply (replace_well_formed P ns [] [n] (fun _ => true)); auto.
    + intros x [].
    + intros x _. split; auto.
    + intros q (x & [<-|[]] & E). right. apply Fresh; auto.
    + intros x y q [<-|[]] [<-|[]]; auto.
    + repeat constructor. auto.
    + intros x [<-|[]]; auto.
    + intros x [<-|[]]. destruct A as [->|I]; [left; reflexivity|right]. rewrite filter_true, paths_app, in_app_iff. right.
      unfold parent; cbn. apply prefix_is_firstn in Ps. rewrite <- Ps. exact I.
    + intros x Hx _. destruct (wf_parent P ns W x Hx); auto. right. rewrite filter_true, paths_app, in_app_iff. auto.
  - intros q. split.
    + intros (x & [<-|Hx] & E); [right; exact E|left; exists x; auto].
    + intros [(x & Hx & E)|E]; [exists x; split; [right|]; auto|exists n; split; [left|]; auto].
  - intros k p. split.
    { intros (x & [<-|Hx] & E & Ep); [right|left; exists x; auto]. destruct E as (Pk & Lk). cbn in Pk, Lk.
    unfold page_on in Ep. destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; [|discriminate]. cbn in Ep.
    rewrite run_entry_full in Ep by auto. repeat split; auto. }
    intros [(x & Hx & E)|(Pk & Lk & M & Ep)]; [exists x; split; [right|]; auto|]. exists n. split; [left; auto|].
    split; [split; auto|]. unfold page_on. rewrite M, Nat.eqb_refl. cbn. rewrite run_entry_full by auto. exact Ep.
  - intros p. unfold pages_count. rewrite sum_cons. unfold n, pages_of, tail_pages; cbn. rewrite count_app.
    rewrite run_count by (auto; lia). lia.
Qed.

(* ---- grow: a leaf takes the run *)
Definition grown (n : node) (tokens : path) (ps : list page) : node :=
  set_tail (tail_of P tokens (stop n) ps) (set_edge tokens (start n) (pages n ++ full_of P tokens (stop n) ps) n).
Theorem grow_ok ns n tokens ps : well_formed P ns -> In n ns -> leaf ns (n_path n) -> prefix (n_path n) tokens ->
  stop n < length tokens -> runs tokens (stop n) ps ->
  let ns' := grown n tokens ps :: without (n_path n) ns in
  well_formed P ns' /\
  (forall q, edge_of ns' q <-> edge_of ns q \/ (prefix q tokens /\ stop n < length q)) /\
  (forall k p, full_entry P ns' k p <-> full_entry P ns k p \/ run_entry tokens (stop n) ps k p) /\
  (forall p, pages_count p ns' + count p (tail_pages n) = pages_count p ns + count p ps).
Proof.
  intros W Hn Lf Pn L R. set (g := grown n tokens ps). pose proof (wf_shape P ns W n Hn) as (S1 & S2 & S3).
  assert (D : start n / P <= stop n / P) by (apply div_le; lia).
  assert (D2 : stop n / P <= length tokens / P) by (apply div_le; lia).
  assert (Eg : forall q, on_edge g q <-> on_edge n q \/ (prefix q tokens /\ stop n < length q)).
  { intros q. unfold on_edge, g, grown; cbn. split.
    - intros (Pq & Lq). destruct (Nat.le_gt_cases (length q) (stop n)) as [Q|Q]; auto. left. split; auto.
      apply (prefix_both q (n_path n) tokens); auto.
    - intros [(Pq & Lq)|(Pq & Lq)]; split; auto; [eapply prefix_trans; eauto|lia]. }
  assert (Sg : shape_ok P g).
  { unfold shape_ok, g, grown, stop in *; cbn. rewrite app_length, run_full by (auto; lia). unfold stop in *. repeat split; auto; try lia.
    apply run_tail. }
  assert (Edges : forall q, edge_of (g :: without (n_path n) ns) q <-> edge_of ns q \/ (prefix q tokens /\ stop n < length q)).
  { intros q. split.
    - intros (x & [<-|Hx] & E).
      + apply Eg in E. destruct E; auto. left. exists n. auto.
      + apply in_without in Hx. left. exists x. tauto.
    - intros [(x & Hx & E)|E]; [|exists g; rewrite Eg; split; [left|]; auto].
      destruct (in_or_not P ns n x W Hn Hx) as [[<-|[]]|Nx]; [exists g; rewrite Eg; split; [left|]; auto|].
      exists x. split; auto. right. apply filter_In. split; auto. apply (in_one P ns n W Hn x Hx). auto. }
  assert (Far : forall x, In x ns -> ~ In x [n] -> In x (without (n_path n) ns)).
  { intros x Hx Nx. apply filter_In. split; auto. apply (in_one P ns n W Hn x Hx). auto. }
  cbv zeta. split; [|split; [|split]]; auto.
  - apply (replace_well_formed P ns [n] [g] (fun x => negb (same_path (n_path x) (n_path n)))); auto.
    + intros x [<-|[]]; auto.
    + apply (in_one P); auto.
    + intros q (x & [<-|[]] & E). apply Eg in E. destruct E as [E|(Pq & Lq)]; [left; exists n; split; [left|]; auto|right].
      intros E. assert (q = n_path n).
      { eapply leaf_end; eauto. apply (prefix_both _ _ tokens); auto. unfold stop in *. lia. }
      subst q. unfold stop in *. lia.
    + intros x y q [<-|[]] [<-|[]]; auto.
    + repeat constructor. auto.
    + intros x [<-|[]]; auto.
    + intros x [<-|[]]. destruct (wf_parent P ns W n Hn) as [Z|I]; [left; exact Z|right]. apply in_paths in I.
      destruct I as (m & Hm & Em). rewrite paths_app, in_app_iff. right. apply in_paths. exists m. split.
      * apply Far; auto. intros [<-|[]]. apply (f_equal (@length _)) in Em. rewrite (parent_length P) in Em;
          [unfold stop in *; lia|apply (wf_shape P ns W n Hn)].
      * rewrite Em. unfold parent; cbn. destruct Pn as (c & ->). rewrite firstn_app.
        replace (start n - length (n_path n)) with 0 by (unfold stop in *; lia). cbn. rewrite app_nil_r. reflexivity.
    + intros x Hx Nx. destruct (wf_parent P ns W x Hx) as [Z|I]; auto. apply in_paths in I. destruct I as (m & Hm & Em).
      destruct (in_or_not P ns n m W Hn Hm) as [[<-|[]]|Nm].
      * left. eapply leaf_no_child; eauto.
      * right. rewrite paths_app, in_app_iff. right. apply in_paths. exists m. split; [apply Far; auto|exact Em].
  - assert (Pg : forall k, on_edge n k -> page_on P g k = page_on P n k).
    { intros k (Pk & Lk). unfold page_on, g, grown; cbn. destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; auto.
      apply nth_error_app1. pose proof (div_lt_aligned P P_positive (start n) (length k) M Lk).
      pose proof (div_le P P_positive _ _ (prefix_length _ _ Pk)). unfold stop in *. lia. }
    assert (Pr : forall k, prefix k tokens -> stop n < length k -> length k mod P = 0 ->
              page_on P g k = nth_error ps (length k / P - stop n / P - 1)).
    { intros k Pk Lk M. unfold page_on, g, grown; cbn. rewrite M, Nat.eqb_refl.
      pose proof (div_lt_aligned P P_positive (stop n) (length k) M Lk).
      rewrite nth_error_app2 by lia. rewrite <- (run_entry_full tokens (stop n) ps k) by auto. f_equal. lia. }
    intros k p. split.
    + intros (x & [<-|Hx] & E & Ep).
      * apply Eg in E. destruct E as [E|(Pk & Lk)]; [left; exists n; rewrite <- Pg; auto|right].
        assert (M : length k mod P = 0) by (unfold page_on in Ep; destruct (Nat.eqb_spec (length k mod P) 0); [auto|discriminate]).
        rewrite Pr in Ep by auto. repeat split; auto.
      * apply in_without in Hx. left. exists x. tauto.
    + intros [(x & Hx & E & Ep)|(Pk & Lk & M & Ep)].
      * destruct (in_or_not P ns n x W Hn Hx) as [[<-|[]]|Nx].
        -- exists g. rewrite Eg, Pg by auto. split; [left|]; auto.
        -- exists x. split; auto. right. auto.
      * exists g. rewrite Eg, Pr by auto. split; [left|]; auto.
  - intros p. unfold pages_count. rewrite sum_cons, (sum_without _ ns n (wf_nodup P ns W) Hn).
    unfold g, grown, pages_of; cbn. rewrite !count_app. pose proof (run_count p tokens (stop n) ps R) as C. unfold tail_pages at 1. cbn.
    unfold pages_of in *. lia.
Qed.

(* ---- trim_leaf keeps `kept` pages; remove_leaf keeps none *)
Definition trimmed (n : node) (kept : nat) : node :=
  set_tail None (set_edge (firstn ((start n / P + kept) * P) (n_path n)) (start n) (firstn kept (pages_of n)) n).
Lemma owned n : shape_ok P n -> length (pages_of n) = stop n / P - start n / P + length (tail_pages n).
Proof. intros (_ & S & _). unfold pages_of. rewrite app_length. lia. Qed.

Theorem trim_ok ns n kept : well_formed P ns -> In n ns -> leaf ns (n_path n) -> 0 < kept < length (pages_of n) ->
  let ns' := trimmed n kept :: without (n_path n) ns in
  well_formed P ns' /\ stop (trimmed n kept) = (start n / P + kept) * P /\
  (forall q, edge_of ns' q <-> edge_of ns q /\ ~ (on_edge n q /\ (start n / P + kept) * P < length q)) /\
  (forall k p, full_entry P ns' k p <-> full_entry P ns k p /\ ~ (on_edge n k /\ (start n / P + kept) * P < length k)) /\
  (forall p, pages_count p ns' + count p (skipn kept (pages_of n)) = pages_count p ns).
Proof.
  intros W Hn Lf (K1 & K2). set (g := trimmed n kept). pose proof (wf_shape P ns W n Hn) as Sn. pose proof Sn as (S1 & S2 & S3).
  pose proof (owned n Sn) as O. set (len := (start n / P + kept) * P) in *.
  assert (T : length (tail_pages n) <= 1) by (unfold tail_pages; destruct (tail n); cbn; lia).
  assert (D : start n / P <= stop n / P) by (apply div_le; lia).
  assert (L1 : len <= stop n).
  { transitivity (stop n / P * P); [apply Nat.mul_le_mono_r; lia|]. pose proof (Nat.mul_div_le (stop n) P). lia. }
  assert (L2 : start n < len).
  { unfold len. pose proof (Nat.div_mod (start n) P). pose proof (Nat.mod_upper_bound (start n) P). nia. }
  assert (Kp : firstn kept (pages_of n) = firstn kept (pages n)).
  { unfold pages_of. rewrite firstn_app. replace (kept - length (pages n)) with 0 by lia. cbn. apply app_nil_r. }
  assert (Ll : length (firstn len (n_path n)) = len) by (rewrite firstn_length; unfold stop in *; lia).
  assert (Ld : len / P = start n / P + kept) by (apply Nat.div_mul; lia).
  assert (Eg : forall q, on_edge g q <-> on_edge n q /\ length q <= len).
  { intros q. unfold on_edge, g, trimmed; cbn. fold len. split.
    - intros (Pq & Lq). pose proof (prefix_length _ _ Pq). rewrite Ll in *. repeat split; auto.
      eapply prefix_trans; eauto. apply prefix_firstn.
    - intros ((Pq & Lq) & Lq'). split; auto. apply prefix_of_firstn; auto. }
  assert (Far : forall x, In x ns -> ~ In x [n] -> In x (without (n_path n) ns)).
  { intros x Hx Nx. apply filter_In. split; auto. apply (in_one P ns n W Hn x Hx). auto. }
  cbv zeta. split; [|split; [|split; [|split]]].
  - apply (replace_well_formed P ns [n] [g] (fun x => negb (same_path (n_path x) (n_path n)))); auto.
    + intros x [<-|[]]; auto.
    + apply (in_one P); auto.
    + intros q (x & [<-|[]] & E). apply Eg in E. left. exists n. split; [left|]; tauto.
    + intros x y q [<-|[]] [<-|[]]; auto.
    + repeat constructor. auto.
    + intros x [<-|[]]. unfold shape_ok, stop, g, trimmed; cbn. fold len. rewrite Ll, Kp, firstn_length, Ld.
      repeat split; auto; try congruence; try lia.
    + intros x [<-|[]]. destruct (wf_parent P ns W n Hn) as [Z|I]; [left; exact Z|right]. apply in_paths in I.
      destruct I as (m & Hm & Em). rewrite paths_app, in_app_iff. right. apply in_paths. exists m. split.
      * apply Far; auto. intros [<-|[]]. apply (f_equal (@length _)) in Em. rewrite (parent_length P) in Em by auto.
        unfold stop in *; lia.
      * rewrite Em. unfold parent; cbn. fold len. rewrite firstn_firstn. f_equal. lia.
    + intros x Hx Nx. destruct (wf_parent P ns W x Hx) as [Z|I]; auto. apply in_paths in I. destruct I as (m & Hm & Em).
      destruct (in_or_not P ns n m W Hn Hm) as [[<-|[]]|Nm].
      * left. eapply leaf_no_child; eauto.
      * right. rewrite paths_app, in_app_iff. right. apply in_paths. exists m. split; [apply Far; auto|exact Em].
  - unfold stop, g, trimmed; cbn. fold len. exact Ll.
  - intros q. split.
    + intros (x & [<-|Hx] & E).
      * apply Eg in E. split; [exists n; tauto|]. lia.
      * apply in_without in Hx. split; [exists x; tauto|]. intros (En & _). destruct Hx as (Hx & Nx). apply Nx.
        rewrite (wf_disjoint P ns W x n q); auto.
    + intros ((x & Hx & E) & N). destruct (in_or_not P ns n x W Hn Hx) as [[<-|[]]|Nx].
      * exists g. rewrite Eg. split; [left; auto|]. split; auto. destruct (Nat.le_gt_cases (length q) len); auto. tauto.
      * exists x. split; auto. right. auto.
  - assert (Pg : forall k, on_edge n k -> length k <= len -> page_on P g k = page_on P n k).
    { intros k (Pk & Lk) Lk'. unfold page_on, g, trimmed; cbn [pages set_tail set_edge start]. rewrite Kp.
      destruct (Nat.eqb_spec (length k mod P) 0) as [M|M]; auto. apply nth_error_firstn.
      pose proof (div_lt_aligned P P_positive (start n) (length k) M Lk). pose proof (div_le P P_positive _ _ Lk'). lia. }
    intros k p. split.
    + intros (x & [<-|Hx] & E & Ep).
      * apply Eg in E. destruct E as (E & Le). rewrite Pg in Ep by auto. split; [exists n; auto|]. lia.
      * apply in_without in Hx. split; [exists x; tauto|]. intros (En & _). destruct Hx as (Hx & Nx). apply Nx.
        rewrite (wf_disjoint P ns W x n k); auto.
    + intros ((x & Hx & E & Ep) & N). destruct (in_or_not P ns n x W Hn Hx) as [[<-|[]]|Nx].
      * assert (length k <= len) by (destruct (Nat.le_gt_cases (length k) len); auto; tauto).
        exists g. rewrite Eg, Pg by auto. split; [left|]; auto.
      * exists x. split; auto. right. auto.
  - intros p. unfold pages_count. rewrite sum_cons, (sum_without _ ns n (wf_nodup P ns W) Hn).
    rewrite <- (count_split p kept (pages_of n)). unfold g, trimmed, pages_of at 1, tail_pages at 1. cbn [tail set_tail pages set_edge].
    rewrite app_nil_r. lia.
Qed.

Theorem without_leaf_ok ns n : well_formed P ns -> In n ns -> leaf ns (n_path n) ->
  let ns' := without (n_path n) ns in
  well_formed P ns' /\
  (forall q, edge_of ns' q <-> edge_of ns q /\ ~ on_edge n q) /\
  (forall k p, full_entry P ns' k p <-> full_entry P ns k p /\ ~ on_edge n k) /\
  (forall p, pages_count p ns' + count p (pages_of n) = pages_count p ns).
Proof.
  intros W Hn Lf. cbv zeta.
  assert (In' : forall x, In x (without (n_path n) ns) <-> In x ns /\ ~ In x [n]).
  { intros x. unfold without. rewrite filter_In. split; intros (Hx & H); split; auto; apply (in_one P ns n W Hn x Hx); auto. }
  split; [|split; [|split]].
  - apply (replace_well_formed P ns [n] [] (fun x => negb (same_path (n_path x) (n_path n)))); auto.
    + intros x [<-|[]]; auto.
    + apply (in_one P); auto.
    + intros q (x & [] & _).
    + intros x y q [].
    + constructor.
    + intros x [].
    + intros x [].
    + intros x Hx Nx. destruct (wf_parent P ns W x Hx) as [Z|I]; auto. apply in_paths in I. destruct I as (m & Hm & Em).
      destruct (in_or_not P ns n m W Hn Hm) as [[<-|[]]|Nm].
      * left. eapply leaf_no_child; eauto.
      * right. apply in_paths. exists m. split; auto. apply In'. auto.
  - intros q. split.
    + intros (x & Hx & E). apply In' in Hx. split; [exists x; tauto|]. intros En. apply (proj2 Hx). left.
      apply (wf_disjoint P ns W n x q); tauto.
    + intros ((x & Hx & E) & N). exists x. split; auto. apply In'. split; auto. intros [->|[]]. auto.
  - intros k p. split.
    + intros (x & Hx & E & Ep). apply In' in Hx. split; [exists x; tauto|]. intros En. apply (proj2 Hx). left.
      apply (wf_disjoint P ns W n x k); tauto.
    + intros ((x & Hx & E & Ep) & N). exists x. split; auto. apply In'. split; auto. intros [->|[]]. auto.
  - intros p. unfold pages_count. rewrite (sum_without _ ns n (wf_nodup P ns W) Hn). lia.
Qed.

(* ---- changes of what is beside the structure *)
Definition meta_only (g : node -> node) : Prop :=
  forall n, n_path (g n) = n_path n /\ start (g n) = start n /\ pages (g n) = pages n /\ tail (g n) = tail n.
Lemma meta_ok g ns : meta_only g -> well_formed P ns -> well_formed P (map g ns) /\ same_map P ns (map g ns).
Proof.
  intros M W.
  assert (On : forall n q, on_edge (g n) q <-> on_edge n q).
  { intros n q. unfold on_edge. destruct (M n) as (-> & -> & _). tauto. }
  assert (Pths : paths (map g ns) = paths ns).
  { unfold paths. rewrite map_map. apply map_ext. intros n. apply M. }
  split; constructor.
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). pose proof (wf_shape P ns W m Hm) as S.
    unfold shape_ok, stop in *. destruct (M m) as (-> & -> & -> & ->). exact S.
  - intros m n q Im In_ Em En. apply in_map_iff in Im, In_. destruct Im as (x & <- & Hx), In_ as (y & <- & Hy).
    rewrite On in Em, En. rewrite (wf_disjoint P ns W x y q Hx Hy Em En). reflexivity.
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). rewrite Pths. unfold parent.
    destruct (M m) as (-> & -> & _). apply (wf_parent P ns W m Hm).
  - rewrite Pths. apply (wf_nodup P ns W).
  - intros q. split.
    + intros (n & I & E). apply in_map_iff in I. destruct I as (m & <- & Hm). rewrite On in E. exists m. auto.
    + intros (n & Hn & E). exists (g n). rewrite On. split; auto. apply in_map. auto.
  - assert (Po : forall n k, page_on P (g n) k = page_on P n k).
    { intros n k. unfold page_on. destruct (M n) as (_ & -> & -> & _). reflexivity. }
    intros k p. split.
    + intros (n & I & E & Ep). apply in_map_iff in I. destruct I as (m & <- & Hm). rewrite On in E. rewrite Po in Ep.
      exists m. auto.
    + intros (n & Hn & E & Ep). exists (g n). rewrite On, Po. split; auto. apply in_map. auto.
  - intros p. unfold pages_count. apply sum_map. intros n _. unfold pages_of, tail_pages.
    destruct (M n) as (_ & _ & -> & ->). reflexivity.
Qed.
Lemma meta_update s g : meta_only g -> meta_only (fun n => if same_path (n_path n) s then g n else n).
Proof. intros M n. destruct (same_path (n_path n) s); auto. Qed.
Lemma meta_holds h : meta_only (fun n => set_holds (h n) n).
Proof. intros n. cbn. auto. Qed.
Lemma meta_order b : meta_only (set_order b).
Proof. intros n. cbn. auto. Qed.
Lemma meta_pinned b : meta_only (set_pinned b).
Proof. intros n. cbn. auto. Qed.
End Grow.
