(* Eviction: evict frees only pages that no hold reaches, oldest leaf first, and stops short only when every page that
   is left lies on the path of a hold. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes TrieStructure TrieWalk TrieGrow Invariant Leases.
Import ListNotations.

Section Eviction.
Variable P : nat.
Hypothesis P_positive : 0 < P.

(* ---- the oldest leaf *)
Lemma oldest_spec ns :
  match oldest ns with
  | Some n => In n ns /\ in_order n = true /\ forall m, In m ns -> in_order m = true -> last_use n <= last_use m
  | None => forall m, In m ns -> in_order m = false
  end.
Proof.
  unfold oldest. induction ns as [|x ns IH]; cbn [fold_right]; [intros m []|].
  destruct (fold_right _ None ns) as [b|].
  - destruct IH as (Hb & Ob & Mb). destruct (in_order x) eqn:O; cbn [older].
    + destruct (Nat.ltb_spec (last_use b) (last_use x)).
      * split; [right; auto|]. split; auto. intros m [<-|Hm] Om; [lia|auto].
      * split; [left; auto|]. split; auto. intros m [<-|Hm] Om; [lia|]. specialize (Mb m Hm Om). lia.
    + split; [right; auto|]. split; auto. intros m [<-|Hm] Om; [congruence|auto].
  - destruct (in_order x) eqn:O; cbn [older].
    + split; [left; auto|]. split; auto. intros m [<-|Hm] Om; [lia|]. rewrite IH in Om by auto. discriminate.
    + intros m [<-|Hm]; auto.
Qed.

(* ---- an unheld leaf goes *)
Lemma edge_below_parent ns n x a : well_formed P ns -> In n ns -> In x ns -> x <> n -> on_edge n (n_path x ++ [a]) ->
  n_path x = parent n.
Proof.
  intros W Hn Hx N (Pq & L). rewrite app_length in L. cbn in L.
  assert (Px : prefix (n_path x) (n_path n)) by (eapply prefix_trans; [apply prefix_app|exact Pq]).
  pose proof (no_end_inside P ns x n W Hx Hn Px N) as S. unfold stop in S.
  unfold parent. apply prefix_is_firstn in Px. rewrite Px. f_equal. lia.
Qed.

Theorem remove_leaf_ok n ns held : node_inv P ns held [] [] -> In n ns -> leaf ns (n_path n) -> holds n = 0 ->
  let ns' := remove_leaf P n ns in
  node_inv P ns' held [] [] /\
  (forall q, edge_of ns' q <-> edge_of ns q /\ ~ on_edge n q) /\
  (forall k p, full_entry P ns' k p <-> full_entry P ns k p /\ ~ on_edge n k) /\
  (forall p, pages_count p ns' + count p (pages_of n) = pages_count p ns).
Proof.
  intros V Hn Lf Z. pose proof (i_wf _ _ _ _ _ V) as W.
  destruct (without_leaf_ok P P_positive ns n W Hn Lf) as (W1 & E1 & F1 & G1). set (ns1 := without (n_path n) ns) in *.
  assert (Mem : forall x, In x ns1 -> In x ns /\ x <> n).
  { intros x Hx. apply in_without in Hx. split; [tauto|]. intros ->. tauto. }
  assert (Lost : forall x a, In x ns1 -> edge_of ns (n_path x ++ [a]) -> n_path x <> parent n -> edge_of ns1 (n_path x ++ [a])).
  { intros x a Hx E N. apply Mem in Hx. apply E1. split; auto. intros En. apply N. destruct Hx. apply (edge_below_parent ns n x a); auto. }
  assert (Leaf1 : forall x, In x ns1 -> n_path x <> parent n -> leaf ns1 (n_path x) -> leaf ns (n_path x)).
  { intros x Hx N L a E. apply (L a), Lost; auto. }
  assert (Pn : copies (n_path n) held = 0) by (pose proof (i_holds _ _ _ _ _ V n Hn); lia).
  assert (V1 : node_inv P ns1 held (parent n) (parent n)).
  { constructor; auto.
    - intros x Hx N M T. destruct (Mem x Hx) as (Hx' & _).
      destruct (i_backed _ _ _ _ _ V x Hx') as (a & b & D & Ea & Eb); auto; [apply (path_not_nil P P_positive ns x W Hx')|].
      exists a, b. auto.
    - intros x Hx O. destruct (Mem x Hx) as (Hx' & _). intros a E. apply E1 in E. destruct E as (E & _). revert E.
      apply (i_leaf _ _ _ _ _ V x Hx' O).
    - intros x Hx N L Z'. destruct (Mem x Hx) as (Hx' & _). apply (i_order _ _ _ _ _ V x Hx'); auto.
      apply (path_not_nil P P_positive ns x W Hx').
    - intros x Hx. apply (i_holds _ _ _ _ _ V x (proj1 (Mem x Hx))).
    - intros s I. destruct (i_held _ _ _ _ _ V s I) as [->|A]; [left; auto|right]. apply in_paths in A.
      destruct A as (m & Hm & <-). apply in_paths. exists m. split; auto. apply in_without. split; auto.
      intros E. apply copies_in in I. rewrite E in I. lia.
    - intros x Hx. apply (i_solid _ _ _ _ _ V x (proj1 (Mem x Hx))). }
  cbv zeta. unfold remove_leaf. fold ns1. destruct (find_node (parent n) ns1) as [p|] eqn:F.
  2:{ apply find_node_none in F. split; [|auto]. destruct V1 as [W1' B L O Hh D S]. constructor; auto.
      - intros x Hx _. apply B; auto. intros E. apply F, in_paths. eauto.
      - intros x Hx _. apply O; auto. intros E. apply F, in_paths. eauto. }
  apply find_node_some in F. destruct F as (Hp & Ep).
  assert (A1 : a_node (parent n) ns1) by (right; apply in_paths; eauto).
  assert (Same : forall ns2, same_map P ns1 ns2 ->
    (forall q, edge_of ns2 q <-> edge_of ns q /\ ~ on_edge n q) /\
    (forall k p, full_entry P ns2 k p <-> full_entry P ns k p /\ ~ on_edge n k) /\
    (forall p, pages_count p ns2 + count p (pages_of n) = pages_count p ns)).
  { intros ns2 [E2 F2 G2]. split; [|split].
    - intros q. rewrite E2. apply E1.
    - intros k q. rewrite F2. apply F1.
    - intros q. rewrite G2. auto. }
  (* Of two edges below the parent one is still there. *)
  assert (Back : forall x, In x ns1 -> n_path x = parent n -> stop x mod P <> 0 -> tail x = None -> ~ leaf ns1 (parent n)).
  { intros x Hx Ex M T L. destruct (Mem x Hx) as (Hx' & _).
    destruct (i_backed _ _ _ _ _ V x Hx') as (a & b & D & Ea & Eb); auto; [apply (path_not_nil P P_positive ns x W Hx')|].
    rewrite Ex in *. assert (Oa : on_edge n (parent n ++ [a])).
    { assert (N : ~ edge_of ns1 (parent n ++ [a])) by apply L. rewrite E1 in N.
      destruct (is_prefix (parent n ++ [a]) (n_path n)) eqn:Q; [apply is_prefix_spec in Q|].
      - split; auto. rewrite app_length. cbn. rewrite (parent_length P); [lia|apply (wf_shape P ns W n Hn)].
      - exfalso. apply N. split; auto. intros (Q' & _). apply is_prefix_spec in Q'. congruence. }
    assert (Ob : on_edge n (parent n ++ [b])).
    { assert (N : ~ edge_of ns1 (parent n ++ [b])) by apply L. rewrite E1 in N.
      destruct (is_prefix (parent n ++ [b]) (n_path n)) eqn:Q; [apply is_prefix_spec in Q|].
      - split; auto. rewrite app_length. cbn. rewrite (parent_length P); [lia|apply (wf_shape P ns W n Hn)].
      - exfalso. apply N. split; auto. intros (Q' & _). apply is_prefix_spec in Q'. congruence. }
    apply D. destruct Oa as (Qa & _), Ob as (Qb & _). apply prefix_is_firstn in Qa, Qb. rewrite app_length in Qa, Qb. cbn in Qa, Qb.
    assert (Q : parent n ++ [a] = parent n ++ [b]) by congruence. apply app_inv_head in Q. congruence. }
  assert (B1 : leaf ns1 (parent n) -> node_inv P ns1 held [] (parent n)).
  { intros L. destruct V1 as [? B Le O H D S]. constructor; auto. intros x Hx _ M T.
    destruct (same_path (n_path x) (parent n)) eqn:Q; [apply same_path_spec in Q|apply same_path_false in Q; auto].
    exfalso. apply (Back x Hx Q M T L). }
  destruct (is_leaf (parent n) ns1) eqn:Lp.
  - apply (is_leaf_spec P P_positive ns1 _ W1 A1) in Lp. destruct (Nat.eqb_spec (holds p) 0) as [Hz|Hz].
    + assert (Mo : meta_only (fun m => if same_path (n_path m) (parent n) then set_order true m else m))
        by apply (meta_update (parent n)), meta_order.
      split; [|apply Same, meta_ok; auto]. specialize (B1 Lp).
      apply (meta_inv P _ _ held held [] (parent n) []); auto.
      * intros m Hm O. destruct (same_path (n_path m) (parent n)) eqn:Q; [apply same_path_spec in Q; rewrite Q; auto|].
        apply (i_leaf _ _ _ _ _ B1 m Hm O).
      * intros m Hm N L Z'. destruct (same_path (n_path m) (parent n)) eqn:Q; auto. apply same_path_false in Q.
        apply (i_order _ _ _ _ _ B1 m Hm); auto.
      * intros m Hm. pose proof (i_holds _ _ _ _ _ B1 m Hm) as H. destruct (same_path (n_path m) (parent n)); exact H.
      * apply (i_held _ _ _ _ _ B1).
      * intros m Hm Z'. apply (i_solid _ _ _ _ _ B1 m Hm). destruct (same_path (n_path m) (parent n)); auto.
    + split; [|apply Same, same_map_refl]. specialize (B1 Lp). destruct B1 as [? B L O H D S]. constructor; auto.
      intros m Hm _ Lm Z'. destruct (same_path (n_path m) (parent n)) eqn:Q; [|apply same_path_false in Q; apply O; auto].
      apply same_path_spec in Q. assert (m = p) by (apply (same_node P ns1); auto; congruence). subst m. congruence.
  - assert (NL : ~ leaf ns1 (parent n)) by (rewrite <- (is_leaf_spec P P_positive ns1 _ W1 A1); congruence).
    assert (V1' : node_inv P ns1 held (parent n) []).
    { destruct V1 as [? B L O H D S]. constructor; auto. intros m Hm _ Lm Z'.
      destruct (same_path (n_path m) (parent n)) eqn:Q; [apply same_path_spec in Q; rewrite Q in Lm; tauto|].
      apply same_path_false in Q. apply O; auto. }
    split; [|apply Same, try_merge_ok; auto].
    apply (try_merge_inv P P_positive _ _ held (parent n) []); auto.
    intros m Hm Em _ _ C. apply NL. intros a Ea. destruct (edge_child P P_positive ns1 (parent n) a W1 A1 Ea) as (c & I & _).
    rewrite C in I. destruct I.
Qed.

(* ---- trim_leaf *)
Lemma trimmed_inv n kept ns held : node_inv P ns held [] [] -> In n ns -> leaf ns (n_path n) -> holds n = 0 -> in_order n = true ->
  0 < kept < length (pages_of n) -> node_inv P (trimmed P n kept :: without (n_path n) ns) held [] [].
Proof.
  intros V Hn Lf Z O K. pose proof (i_wf _ _ _ _ _ V) as W. pose proof (wf_shape P ns W n Hn) as Sn.
  destruct (trim_ok P P_positive ns n kept W Hn Lf K) as (W1 & S1 & E1 & _).
  set (g := trimmed P n kept) in *. set (len := (start n / P + kept) * P) in *. set (ns1 := g :: without (n_path n) ns) in *.
  assert (Ls : start n < len).
  { unfold len. pose proof (Nat.div_mod (start n) P). pose proof (Nat.mod_upper_bound (start n) P). nia. }
  assert (Pg : n_path g = firstn len (n_path n)) by reflexivity.
  assert (Lg : length (n_path g) = len) by exact S1.
  assert (Oth : forall x, In x (without (n_path n) ns) -> In x ns /\ x <> n).
  { intros x Hx. apply in_without in Hx. split; [tauto|]. intros ->. tauto. }
  assert (Pn : copies (n_path n) held = 0 /\ pinned n = false).
  { pose proof (i_holds _ _ _ _ _ V n Hn) as H. destruct (pinned n); split; auto; lia. }
  assert (Keep : forall x a, In x ns -> x <> n -> edge_of ns (n_path x ++ [a]) -> edge_of ns1 (n_path x ++ [a])).
  { intros x a Hx N E. apply E1. split; auto. intros (En & L). pose proof (edge_below_parent ns n x a W Hn Hx N En) as Q.
    rewrite app_length, Q, (parent_length P) in L by auto. cbn in L. lia. }
  assert (Lfg : leaf ns1 (n_path g)).
  { intros a E. apply E1 in E. destruct E as ((x & Hx & Ex) & N). destruct Ex as (Px & Lx).
    rewrite app_length, Lg in Lx. cbn in Lx.
    assert (Og : on_edge n (n_path g)) by (split; [rewrite Pg; apply prefix_firstn|lia]).
    destruct (Nat.eq_dec (start x) len) as [Q|Q].
    - destruct (wf_parent P ns W x Hx) as [Z'|I]; [lia|]. apply in_paths in I. destruct I as (u & Hu & Eu).
      assert (Eg : parent x = n_path g).
      { unfold parent. rewrite Q, <- Lg. symmetry. apply prefix_is_firstn. eapply prefix_trans; [apply prefix_app|exact Px]. }
      assert (u = n).
      { apply (wf_disjoint P ns W u n (n_path g)); auto. rewrite <- Eg, <- Eu. apply (on_own_edge P), (wf_shape P ns W u Hu). }
      subst u. apply (Lf a). exists x. rewrite Eu, Eg. split; auto. split; auto. rewrite app_length, Lg. cbn. lia.
    - assert (x = n).
      { apply (wf_disjoint P ns W x n (n_path g)); auto. split; [|lia]. eapply prefix_trans; [apply prefix_app|exact Px]. }
      subst x. apply N. split; [split; auto|]; rewrite app_length, Lg; cbn; lia. }
  assert (Ng : copies (n_path g) held = 0).
  { rewrite Pg. destruct (Nat.eq_dec len (stop n)) as [Q|Q].
    - rewrite Q. unfold stop. rewrite firstn_all. tauto.
    - assert (L1 : len <= stop n).
      { pose proof (f_equal (@length _) Pg) as H. rewrite Lg, firstn_length in H. unfold stop. lia. }
      eapply (not_node_no_copies P P_positive); eauto. apply (inside_not_node P P_positive); auto. lia. }
  constructor; auto.
  - intros x [<-|Hx] _ M T.
    + exfalso. apply M. rewrite S1. apply Nat.mod_mul. lia.
    + destruct (Oth x Hx) as (Hx' & N). destruct (i_backed _ _ _ _ _ V x Hx') as (a & b & D & Ea & Eb); auto;
        [apply (path_not_nil P P_positive ns x W Hx')|]. exists a, b. auto.
  - intros x [<-|Hx] O'; auto. destruct (Oth x Hx) as (Hx' & N). intros a E. apply E1 in E.
    apply (i_leaf _ _ _ _ _ V x Hx' O' a). tauto.
  - intros x [<-|Hx] _ L Z'; auto. destruct (Oth x Hx) as (Hx' & N).
    apply (i_order _ _ _ _ _ V x Hx'); auto; [apply (path_not_nil P P_positive ns x W Hx')|].
    intros a E. apply (L a). auto.
  - intros x [<-|Hx]; [|apply (i_holds _ _ _ _ _ V x (proj1 (Oth x Hx)))]. rewrite Ng. cbn. destruct Pn as (_ & ->). exact Z.
  - intros s I. destruct (i_held _ _ _ _ _ V s I) as [->|A]; [left; auto|right]. apply in_paths in A.
    destruct A as (m & Hm & <-). right. apply in_paths. exists m. split; auto. apply in_without. split; auto.
    intros E. apply copies_in in I. rewrite E in I. lia.
  - intros x [<-|Hx] Z'; [cbn in Z'; congruence|]. apply (i_solid _ _ _ _ _ V x (proj1 (Oth x Hx)) Z').
Qed.

(* What eviction leaves: nothing new, nothing lost that a hold reaches, no page lost. *)
Record evicted (held : list path) (st st' : state) : Prop := {
  e_leases : leases st' = leases st;
  e_less : forall k p, full_entry P (nodes st') k p -> full_entry P (nodes st) k p;
  e_safe : forall s k p, In s held -> prefix k s -> full_entry P (nodes st) k p -> full_entry P (nodes st') k p;
  e_pages : forall p, count p (free st') + pages_count p (nodes st') = count p (free st) + pages_count p (nodes st)
}.
Lemma evicted_refl held st : evicted held st st.
Proof. constructor; auto. Qed.
Lemma evicted_trans held a b c : evicted held a b -> evicted held b c -> evicted held a c.
Proof.
  intros [L1 F1 S1 G1] [L2 F2 S2 G2]. constructor.
  - congruence.
  - auto.
  - eauto.
  - intros p. rewrite G2. auto.
Qed.

(* A leaf that nobody holds shares no edge with a hold's path. *)
Lemma held_elsewhere ns held n s k : node_inv P ns held [] [] -> In n ns -> leaf ns (n_path n) -> holds n = 0 -> In s held ->
  prefix k s -> ~ on_edge n k.
Proof.
  intros V Hn Lf Z I Pk (Pq & Lk). pose proof (i_wf _ _ _ _ _ V) as W.
  destruct (i_held _ _ _ _ _ V s I) as [->|A]; [apply prefix_length in Pk; cbn in Pk; lia|].
  assert (C : copies (n_path n) held = 0) by (pose proof (i_holds _ _ _ _ _ V n Hn); lia).
  apply in_paths in A. destruct A as (m & Hm & <-).
  (* The node of the hold, or one above it, has k on its edge: it is n, and n is no leaf. *)
  assert (X : exists u, In u ns /\ on_edge u k /\ prefix (n_path u) (n_path m)).
  { clear I. remember (stop m) as j eqn:Hj. revert m Hm Pk Hj. induction j as [j IH] using lt_wf_ind. intros m Hm Pk ->.
    destruct (Nat.lt_ge_cases (start m) (length k)) as [L|L]; [exists m; repeat split; auto using prefix_refl|].
    pose proof (wf_shape P ns W m Hm) as Sm. destruct (wf_parent P ns W m Hm) as [Z'|I]; [lia|].
    apply in_paths in I. destruct I as (u & Hu & Eu).
    assert (Lu : stop u = start m) by (unfold stop; rewrite Eu; apply (parent_length P); auto).
    destruct Sm as (Sm & _). destruct (IH (stop u)) with (m := u) as (w & Hw & Ew & Pw); auto; [lia| |].
    - rewrite Eu. unfold parent. apply prefix_of_firstn; auto.
    - exists w. repeat split; auto; try apply Ew. eapply prefix_trans; [exact Pw|]. rewrite Eu. apply prefix_firstn. }
  destruct X as (u & Hu & Eu & Pu). assert (u = n) by (apply (wf_disjoint P ns W u n k); auto; split; auto). subst u.
  assert (E : n_path m = n_path n).
  { apply (leaf_end P P_positive ns n); auto. exists m. split; auto. apply (on_own_edge P), (wf_shape P ns W m Hm). }
  apply copies_in in I. rewrite E in I. lia.
Qed.

Theorem trim_leaf_ok n num st held : node_inv P (nodes st) held [] [] -> In n (nodes st) -> holds n = 0 -> in_order n = true ->
  num <= length (pages_of n) -> (num = 0 -> pages_of n = []) ->
  node_inv P (nodes (trim_leaf P n num st)) held [] [] /\ evicted held st (trim_leaf P n num st) /\
  length (free (trim_leaf P n num st)) = length (free st) + num.
Proof.
  intros V Hn Z O L0 L1. pose proof (i_wf _ _ _ _ _ V) as W. pose proof (i_leaf _ _ _ _ _ V n Hn O) as Lf.
  unfold trim_leaf. set (kept := length (pages_of n) - num).
  assert (Fr : forall p, count p (give_back_all (rev (skipn kept (pages_of n))) (free st)) =
                        count p (skipn kept (pages_of n)) + count p (free st)).
  { intros p. rewrite count_give_back_all, count_rev. reflexivity. }
  assert (Lfr : length (give_back_all (rev (skipn kept (pages_of n))) (free st)) = length (free st) + num).
  { unfold give_back_all. rewrite app_length, !rev_length, skipn_length. unfold kept. lia. }
  destruct (Nat.eqb_spec kept 0) as [K|K]; cbn [nodes free].
  - destruct (remove_leaf_ok n (nodes st) held V Hn Lf Z) as (V' & E & F & G). split; [exact V'|]. split; [|exact Lfr].
    constructor; cbn [nodes free leases]; auto.
    + intros k p H. apply F in H. tauto.
    + intros s k p I Pk H. apply F. split; auto. apply (held_elsewhere (nodes st) held n s k); auto.
    + intros p. rewrite Fr, K. cbn [skipn]. specialize (G p). lia.
  - assert (Kr : 0 < kept < length (pages_of n)).
    { unfold kept in *. destruct num; [rewrite L1 in K by auto; cbn in K; lia|lia]. }
    split; [apply trimmed_inv; auto|]. split; [|exact Lfr].
    destruct (trim_ok P P_positive (nodes st) n kept W Hn Lf Kr) as (_ & _ & E & F & G).
    constructor; cbn [nodes free leases]; auto.
    + intros k p H. apply F in H. tauto.
    + intros s k p I Pk H. apply F. split; auto. intros (En & _). revert En. apply (held_elsewhere (nodes st) held n s k); auto.
    + intros p. rewrite Fr. specialize (G p). unfold trimmed in G. lia.
Qed.

Lemma unorder_inv n ns held : node_inv P ns held [] [] -> In n ns -> holds n <> 0 ->
  node_inv P (update (n_path n) (set_order false) ns) held [] [] /\ same_map P ns (update (n_path n) (set_order false) ns).
Proof.
  intros V Hn Z. pose proof (i_wf _ _ _ _ _ V) as W.
  assert (Mo : meta_only (fun m => if same_path (n_path m) (n_path n) then set_order false m else m))
    by apply (meta_update (n_path n)), meta_order.
  split; [|apply meta_ok; auto]. apply (meta_inv P _ _ held held [] [] []); auto.
  - intros m Hm O. apply (i_leaf _ _ _ _ _ V m Hm). destruct (same_path (n_path m) (n_path n)); [discriminate|auto].
  - intros m Hm N L Z'. destruct (same_path (n_path m) (n_path n)) eqn:Q; [|apply (i_order _ _ _ _ _ V m Hm); auto].
    exfalso. apply same_path_spec in Q. assert (m = n) by (apply (same_node P ns); auto). subst m. auto.
  - intros m Hm. pose proof (i_holds _ _ _ _ _ V m Hm) as H. destruct (same_path (n_path m) (n_path n)); exact H.
  - apply (i_held _ _ _ _ _ V).
  - intros m Hm Z'. apply (i_solid _ _ _ _ _ V m Hm). destruct (same_path (n_path m) (n_path n)); auto.
Qed.

Theorem evict_loop_ok fuel num freed st held : node_inv P (nodes st) held [] [] -> freed <= num ->
  let (freed', st') := evict_loop P fuel num freed st in
  node_inv P (nodes st') held [] [] /\ evicted held st st' /\ freed <= freed' <= num /\
  length (free st') = length (free st) + (freed' - freed).
Proof.
  revert freed st. induction fuel as [|fuel IH]; intros freed st V L; cbn [evict_loop].
  { split; auto. split; [apply evicted_refl|lia]. }
  destruct (Nat.ltb_spec freed num) as [Lt|Ge]; [|split; auto; split; [apply evicted_refl|lia]].
  pose proof (oldest_spec (nodes st)) as Old. destruct (oldest (nodes st)) as [n|]; [|split; auto; split; [apply evicted_refl|lia]].
  destruct Old as (Hn & O & _). destruct (Nat.eqb_spec (holds n) 0) as [Z|Z]; cbn [negb].
  - set (wanted := Nat.min (num - freed) (length (pages_of n))).
    destruct (trim_leaf_ok n wanted st held V Hn Z O) as (V1 & E1 & L1); [lia| |].
    { unfold wanted. intros H. destruct (pages_of n); auto. cbn in H. lia. }
    specialize (IH (freed + wanted) (trim_leaf P n wanted st) V1 ltac:(lia)).
    destruct (evict_loop P fuel num (freed + wanted) (trim_leaf P n wanted st)) as [f2 st2].
    destruct IH as (V2 & E2 & F2 & L2). split; auto. split; [eapply evicted_trans; eauto|lia].
  - destruct (unorder_inv n (nodes st) held V Hn Z) as (V1 & [E1 F1 G1]).
    specialize (IH freed (with_nodes st (update (n_path n) (set_order false) (nodes st))) V1 L).
    destruct (evict_loop P fuel num freed (with_nodes st (update (n_path n) (set_order false) (nodes st)))) as [f2 st2].
    destruct IH as (V2 & E2 & F2 & L2). split; auto. split; [|exact (conj F2 L2)].
    eapply evicted_trans; [|exact E2]. constructor; cbn [nodes free leases with_nodes];
      [reflexivity|intros k p H; apply (F1 k p); exact H|intros s k p _ _ H; apply (F1 k p); exact H|].
    intros p. rewrite G1. reflexivity.
Qed.
End Eviction.
